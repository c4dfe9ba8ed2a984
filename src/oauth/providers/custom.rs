//! `OpenID` Connect providers that an operator names (`AUTH_PROVIDER_CUSTOM`).

use super::super::json::{flag, joined, text};
use super::super::profile::{Answers, Attestation, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source};

/// What stands before the chosen name in paths and rows.
pub const PREFIX: &str = "c:";

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
fn profile(answers: &Answers) -> Result<Profile, ProfileError> {
    let claims = &answers.profile;
    Ok(Profile {
        subject: text(claims, "/sub").ok_or(ProfileError::NoId)?,
        email: text(claims, "/email"),
        attestation: Attestation::from_flag(flag(claims, "/email_verified")),
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
    fn standard_claims_are_read() {
        let answers = Answers { profile: json!({"sub":"9","email":"o@x.test","email_verified":true,"given_name":"O","family_name":"Idc","picture":"https://a.test/o.png"}), ..Answers::default() };
        let profile = profile(&answers).unwrap();
        assert_eq!(profile.subject, "9");
        assert_eq!(profile.email.as_deref(), Some("o@x.test"));
        assert_eq!(profile.attestation, Attestation::Verified);
        assert_eq!(profile.name.as_deref(), Some("O Idc"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/o.png"));
        let nobody = Answers { profile: json!({}), ..answers };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
