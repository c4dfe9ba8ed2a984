//! Google.

use super::super::json::{flag, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "google",
    variable: "GOOGLE",
    title: "Google",
    settings: oauth2_settings!(
        "google", "GOOGLE", "Google",
        scope: "openid,email,profile",
        authorization_url: "https://accounts.google.com/o/oauth2/v2/auth",
        token_url: "https://oauth2.googleapis.com/token",
        style: "body",
        client_secret!("google", "GOOGLE", "Google"),
        profile_url!("google", "GOOGLE", "Google", "https://www.googleapis.com/oauth2/v2/userinfo"),
        Setting::list(
            "google-audience",
            "AUTH_PROVIDER_GOOGLE_AUDIENCE",
            "",
            "Audiences of id tokens of Google that applications bring; empty: none are taken",
        )
        .live(),
        Setting::text(
            "google-issuer",
            "AUTH_PROVIDER_GOOGLE_ISSUER",
            "https://accounts.google.com",
            "Issuer of id tokens of Google",
        )
        .own()
        .live(),
        Setting::text(
            "google-jwks-url",
            "AUTH_PROVIDER_GOOGLE_JWKS_URL",
            "https://www.googleapis.com/oauth2/v3/certs",
            "Public keys of Google",
        )
        .own()
        .live(),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::Profile,
    client_id_header: None,
    takes_organizations: false,
    nonce: true,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = &responses.profile;
    Ok(Profile {
        // The older endpoint, which is the default, says `id` for what the standard calls `sub`.
        subject: text(profile, "/id")
            .or_else(|| text(profile, "/sub"))
            .ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::from_flag(
            flag(profile, "/verified_email") || flag(profile, "/email_verified"),
        ),
        name: text(profile, "/name"),
        picture: text(profile, "/picture"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_endpoints_are_understood() {
        let responses = ProviderResponses { profile: json!({"id":"102","email":"google@x.test","verified_email":true,"name":"Goo Gle","picture":"https://a.test/g.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "102");
        assert_eq!(profile.email.as_deref(), Some("google@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("Goo Gle"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/g.png"));
        let standard = json!({"sub":"102","email":"google@x.test","email_verified":true,"name":"Goo Gle","picture":"https://a.test/g.png"});
        let standard = ProviderResponses { profile: standard, ..ProviderResponses::default() };
        assert_eq!(super::profile(&standard).unwrap(), profile);
        let nobody = ProviderResponses { profile: json!({"email":"google@x.test"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
