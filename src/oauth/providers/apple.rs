//! Apple: identity from the id token, and a name only at the first authorization.

use super::super::json::{flag, joined, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, oauth2_settings};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "apple",
    variable: "APPLE",
    title: "Apple",
    settings: oauth2_settings!(
        "apple", "APPLE", "Apple",
        scope: "name,email",
        authorization_url: "https://appleid.apple.com/auth/authorize",
        token_url: "https://appleid.apple.com/auth/token",
        style: "body",
        Setting::text("apple-team-id", "AUTH_PROVIDER_APPLE_TEAM_ID", "", "Team id at Apple").live(),
        Setting::text("apple-key-id", "AUTH_PROVIDER_APPLE_KEY_ID", "", "Id of the private key at Apple")
            .live(),
        Setting::secret(
            "apple-private-key",
            "AUTH_PROVIDER_APPLE_PRIVATE_KEY",
            "Private key for Apple: PEM, its line feeds also as \\n, or the base64 of that",
        )
        .live(),
        Setting::list(
            "apple-audience",
            "AUTH_PROVIDER_APPLE_AUDIENCE",
            "",
            "Audiences of id tokens of Apple that applications bring; empty: none are taken",
        )
        .live(),
        Setting::text(
            "apple-issuer",
            "AUTH_PROVIDER_APPLE_ISSUER",
            "https://appleid.apple.com",
            "Issuer of id tokens of Apple",
        )
        .own()
        .live(),
        Setting::text(
            "apple-jwks-url",
            "AUTH_PROVIDER_APPLE_JWKS_URL",
            "https://appleid.apple.com/auth/keys",
            "Public keys of Apple",
        )
        .own()
        .live(),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[("response_type", "code id_token"), ("response_mode", "form_post")],
    source: Source::IdToken,
    client_id_header: None,
    takes_organizations: false,
    nonce: true,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let claims = &responses.profile;
    Ok(Profile {
        subject: text(claims, "/sub").ok_or(ProfileError::NoId)?,
        email: text(claims, "/email"),
        email_assurance: EmailAssurance::from_flag(flag(claims, "/email_verified")),
        // Sent by the browser, so it may name, and nothing else (4.2).
        name: joined([
            text(&responses.form_user, "/name/firstName"),
            text(&responses.form_user, "/name/lastName"),
        ])
        .or_else(|| text(claims, "/email")),
        picture: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_name_comes_with_the_form() {
        let responses = ProviderResponses { profile: json!({"sub":"001.apple","email":"apple@x.test","email_verified":"true"}), form_user: json!({"name":{"firstName":"Ap","lastName":"Ple"},"email":"other@x.test"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "001.apple");
        assert_eq!(profile.email.as_deref(), Some("apple@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("Ap Ple"));
        assert_eq!(profile.picture.as_deref(), None);
        let later = ProviderResponses { form_user: serde_json::Value::Null, ..responses.clone() };
        assert_eq!(super::profile(&later).unwrap().name.as_deref(), Some("apple@x.test"));
        let nobody = ProviderResponses { profile: json!({"email":"apple@x.test"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
