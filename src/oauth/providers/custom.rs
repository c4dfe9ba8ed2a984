//! `OpenID` Connect providers that an operator names (`AUTH_PROVIDER_CUSTOM`).

use super::super::json::{flag, joined, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source};

/// What stands before the chosen name in paths and rows.
pub const PREFIX: &str = "c:";

/// Whether this is a name that an operator may choose: up to 40 of `a` to `z`, `0` to `9` and hyphens
/// between them.
pub fn is_slug(slug: &str) -> bool {
    (1..=40).contains(&slug.len())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !slug.starts_with('-')
        && !slug.ends_with('-')
}

/// Whether this could be the id of such a provider.
pub fn is_id(id: &str) -> bool {
    id.strip_prefix(PREFIX).is_some_and(is_slug)
}

/// What all of them have in common; name and addresses come from the settings and by discovery.
pub const PROVIDER: Provider = Provider {
    id: PREFIX,
    variable: "CUSTOM",
    title: "OpenID Connect",
    settings: &[],
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::IdToken,
    client_id_header: None,
    takes_organizations: false,
    nonce: true,
    profile,
};

/// Standard claims (`OpenID` Connect Core 5.1).
fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let claims = &responses.profile;
    Ok(Profile {
        subject: text(claims, "/sub").ok_or(ProfileError::NoId)?,
        email: text(claims, "/email"),
        email_assurance: EmailAssurance::from_flag(flag(claims, "/email_verified")),
        name: text(claims, "/name")
            .or_else(|| joined([text(claims, "/given_name"), text(claims, "/family_name")]))
            .or_else(|| text(claims, "/preferred_username")),
        picture: text(claims, "/picture"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_slugs_behind_their_prefix() {
        for id in ["c:acme", "c:a", "c:a-1"] {
            assert!(is_id(id), "{id}");
        }
        for id in ["acme", "c:", "c:-a", "c:a-", "c:A", "c:a/b", "c:a\r\n", "c:a b"] {
            assert!(!is_id(id), "{id}");
        }
        assert!(!is_id(&format!("c:{}", "a".repeat(41))));
    }

    #[test]
    fn standard_claims_are_read() {
        let responses = ProviderResponses { profile: json!({"sub":"9","email":"o@x.test","email_verified":true,"given_name":"O","family_name":"Idc","picture":"https://a.test/o.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "9");
        assert_eq!(profile.email.as_deref(), Some("o@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("O Idc"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/o.png"));
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
