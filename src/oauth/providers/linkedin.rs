//! `LinkedIn`.

use super::super::json::{flag, joined, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "linkedin",
    variable: "LINKEDIN",
    title: "LinkedIn",
    settings: oauth2_settings!(
        "linkedin", "LINKEDIN", "LinkedIn",
        scope: "openid,profile,email",
        authorization_url: "https://www.linkedin.com/oauth/v2/authorization",
        token_url: "https://www.linkedin.com/oauth/v2/accessToken",
        // It refuses a verifier of a confidential client with invalid_client.
        pkce: "false",
        style: "body",
        client_secret!("linkedin", "LINKEDIN", "LinkedIn"),
        profile_url!("linkedin", "LINKEDIN", "LinkedIn", "https://api.linkedin.com/v2/userinfo"),
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
        subject: text(profile, "/sub").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::from_flag(flag(profile, "/email_verified")),
        name: joined([text(profile, "/given_name"), text(profile, "/family_name")])
            .or_else(|| text(profile, "/email")),
        picture: text(profile, "/picture"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_flag_of_the_address_counts() {
        let responses = ProviderResponses { profile: json!({"sub":"103","email":"li@x.test","email_verified":false,"given_name":"Lin","family_name":"Ked","picture":"https://a.test/li.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "103");
        assert_eq!(profile.email.as_deref(), Some("li@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("Lin Ked"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/li.png"));
        let nameless = json!({"sub":"103","email":"li@x.test","email_verified":true});
        let nameless = super::profile(&ProviderResponses { profile: nameless, ..ProviderResponses::default() }).unwrap();
        assert_eq!(nameless.name.as_deref(), Some("li@x.test"));
        assert_eq!(nameless.email_assurance, EmailAssurance::Verified);
        let nobody = ProviderResponses { profile: json!({"id":"103"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
