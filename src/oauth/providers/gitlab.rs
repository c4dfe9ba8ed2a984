//! GitLab.

use super::super::json::{numeric_id, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "gitlab",
    variable: "GITLAB",
    title: "GitLab",
    settings: oauth2_settings!(
        "gitlab", "GITLAB", "GitLab",
        scope: "read_user",
        authorization_url: "https://gitlab.com/oauth/authorize",
        token_url: "https://gitlab.com/oauth/token",
        style: "body",
        client_secret!("gitlab", "GITLAB", "GitLab"),
        profile_url!("gitlab", "GITLAB", "GitLab", "https://gitlab.com/api/v4/user"),
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
        subject: numeric_id(profile, "/id").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::from_flag(text(profile, "/confirmed_at").is_some()),
        name: text(profile, "/name"),
        picture: text(profile, "/avatar_url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_verified_once_it_was_confirmed() {
        let responses = ProviderResponses { profile: json!({"id":107,"username":"gl","name":"Git Lab","email":"gl@x.test","avatar_url":"https://a.test/gl.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "107");
        assert_eq!(profile.email.as_deref(), Some("gl@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("Git Lab"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/gl.png"));
        let mut confirmed = responses.clone();
        confirmed.profile["confirmed_at"] = json!("2024-01-01T00:00:00Z");
        assert_eq!(super::profile(&confirmed).unwrap().email_assurance, EmailAssurance::Verified);
        let nobody = ProviderResponses { profile: json!({"id": 0}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
