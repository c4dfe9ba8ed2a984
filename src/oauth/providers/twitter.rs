//! Twitter: the one provider of `OAuth` 1.0a.

use super::super::json::text;
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, profile_url, trust_email};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "twitter",
    variable: "TWITTER",
    title: "Twitter",
    settings: &[
        Setting::boolean(
            "twitter-enabled",
            "AUTH_PROVIDER_TWITTER_ENABLED",
            "false",
            "Sign in with Twitter",
        )
        .live(),
        Setting::text(
            "twitter-consumer-key",
            "AUTH_PROVIDER_TWITTER_CONSUMER_KEY",
            "",
            "Consumer key at Twitter",
        )
        .live(),
        Setting::secret(
            "twitter-consumer-secret",
            "AUTH_PROVIDER_TWITTER_CONSUMER_SECRET",
            "Consumer secret at Twitter",
        )
        .live(),
        Setting::text(
            "twitter-request-token-url",
            "AUTH_PROVIDER_TWITTER_REQUEST_TOKEN_URL",
            "https://api.twitter.com/oauth/request_token",
            "Where sign-ins are announced to Twitter",
        )
        .own()
        .live(),
        Setting::text(
            "twitter-authorization-url",
            "AUTH_PROVIDER_TWITTER_AUTHORIZATION_URL",
            "https://api.twitter.com/oauth/authorize",
            "Where people consent at Twitter",
        )
        .own()
        .live(),
        Setting::text(
            "twitter-token-url",
            "AUTH_PROVIDER_TWITTER_TOKEN_URL",
            "https://api.twitter.com/oauth/access_token",
            "Token endpoint of Twitter",
        )
        .own()
        .live(),
        profile_url!(
            "twitter",
            "TWITTER",
            "Twitter",
            "https://api.twitter.com/1.1/account/verify_credentials.json?include_email=true"
        ),
        trust_email!("twitter", "TWITTER", "Twitter"),
    ],
    protocol: Protocol::OAuth1,
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
        subject: text(profile, "/id_str").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::Unknown,
        name: text(profile, "/name"),
        picture: text(profile, "/profile_image_url_https"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id_str":"115","screen_name":"tw","name":"Twit","email":"tw@x.test","profile_image_url_https":"https://a.test/tw.png"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "115");
        assert_eq!(profile.email.as_deref(), Some("tw@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Twit"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/tw.png"));
        let nobody = ProviderResponses { profile: json!({"id":115}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
