//! Spotify, which documents that it does not verify addresses.

use super::super::json::{text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "spotify",
    variable: "SPOTIFY",
    title: "Spotify",
    settings: oauth2_settings!(
        "spotify", "SPOTIFY", "Spotify",
        scope: "user-read-email,user-read-private",
        authorization_url: "https://accounts.spotify.com/authorize",
        token_url: "https://accounts.spotify.com/api/token",
        style: "basic",
        client_secret!("spotify", "SPOTIFY", "Spotify"),
        profile_url!("spotify", "SPOTIFY", "Spotify", "https://api.spotify.com/v1/me"),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::Profile,
    client_id_header: None,
    takes_organizations: false,
    nonce: false,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = &responses.profile;
    Ok(Profile {
        subject: text(profile, "/id").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::Unverified,
        name: text(profile, "/display_name"),
        picture: text(profile, "/images/0/url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":"105","email":"sp@x.test","display_name":"Spo","images":[]}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "105");
        assert_eq!(profile.email.as_deref(), Some("sp@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("Spo"));
        assert_eq!(profile.picture.as_deref(), None);
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
