//! Facebook.

use super::super::json::{text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};

pub(super) const PROVIDER: Provider = Provider {
    id: "facebook",
    variable: "FACEBOOK",
    title: "Facebook",
    settings: oauth2_settings!(
        "facebook", "FACEBOOK", "Facebook",
        scope: "email",
        authorization_url: "https://www.facebook.com/v22.0/dialog/oauth",
        token_url: "https://graph.facebook.com/v22.0/oauth/access_token",
        style: "body",
        client_secret!("facebook", "FACEBOOK", "Facebook"),
        profile_url!("facebook", "FACEBOOK", "Facebook", "https://graph.facebook.com/me?fields=id,name,email,picture"),
        trust_email!("facebook", "FACEBOOK", "Facebook"),
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
        email_assurance: EmailAssurance::Unknown,
        name: text(profile, "/name"),
        picture: text(profile, "/picture/data/url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":"112","name":"Face","email":"fb@x.test","picture":{"data":{"url":"https://a.test/fb.png"}}}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "112");
        assert_eq!(profile.email.as_deref(), Some("fb@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Face"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/fb.png"));
        let nobody = ProviderResponses { profile: json!({"id": 112}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
