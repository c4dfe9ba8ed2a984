//! Twitch.

use super::super::json::{text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};

pub(super) const PROVIDER: Provider = Provider {
    id: "twitch",
    variable: "TWITCH",
    title: "Twitch",
    settings: oauth2_settings!(
        "twitch", "TWITCH", "Twitch",
        scope: "user:read:email",
        authorization_url: "https://id.twitch.tv/oauth2/authorize",
        token_url: "https://id.twitch.tv/oauth2/token",
        style: "body",
        client_secret!("twitch", "TWITCH", "Twitch"),
        profile_url!("twitch", "TWITCH", "Twitch", "https://api.twitch.tv/helix/users"),
        trust_email!("twitch", "TWITCH", "Twitch"),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::Profile,
    client_id_header: Some("client-id"),
    takes_organizations: false,
    nonce: false,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = responses.profile.pointer("/data/0").ok_or(ProfileError::Empty)?;
    Ok(Profile {
        subject: text(profile, "/id").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::Unknown,
        name: text(profile, "/display_name"),
        picture: text(profile, "/profile_image_url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"data":[{"id":"106","display_name":"Twi","email":"twitch@x.test","profile_image_url":"https://a.test/t.png"}]}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "106");
        assert_eq!(profile.email.as_deref(), Some("twitch@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Twi"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/t.png"));
        let nobody = ProviderResponses { profile: json!({"data":[]}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::Empty));
    }
}
