//! Strava, which tells no address.

use super::super::json::{joined, numeric_id, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "strava",
    variable: "STRAVA",
    title: "Strava",
    settings: oauth2_settings!(
        "strava", "STRAVA", "Strava",
        scope: "profile:read_all",
        authorization_url: "https://www.strava.com/api/v3/oauth/authorize",
        token_url: "https://www.strava.com/api/v3/oauth/token",
        style: "body",
        client_secret!("strava", "STRAVA", "Strava"),
        profile_url!("strava", "STRAVA", "Strava", "https://www.strava.com/api/v3/athlete"),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[("approval_prompt", "force")],
    source: Source::Profile,
    client_id_header: None,
    takes_organizations: false,
    nonce: false,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = &responses.profile;
    Ok(Profile {
        subject: numeric_id(profile, "/id").ok_or(ProfileError::NoId)?,
        email: None,
        email_assurance: EmailAssurance::Unverified,
        name: joined([text(profile, "/firstname"), text(profile, "/lastname")]),
        picture: text(profile, "/profile_medium"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":114,"firstname":"Str","lastname":"Ava","profile_medium":"https://a.test/s.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "114");
        assert_eq!(profile.email.as_deref(), None);
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("Str Ava"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/s.png"));
        let nobody = ProviderResponses { profile: json!({"id":"114"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
