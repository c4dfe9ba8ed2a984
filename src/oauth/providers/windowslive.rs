//! Windows Live.

use super::super::json::{text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};

pub(super) const PROVIDER: Provider = Provider {
    id: "windowslive",
    variable: "WINDOWS_LIVE",
    title: "Windows Live",
    settings: oauth2_settings!(
        "windowslive", "WINDOWS_LIVE", "Windows Live",
        scope: "wl.basic,wl.emails",
        authorization_url: "https://login.live.com/oauth20_authorize.srf",
        token_url: "https://login.live.com/oauth20_token.srf",
        style: "body",
        client_secret!("windowslive", "WINDOWS_LIVE", "Windows Live"),
        profile_url!("windowslive", "WINDOWS_LIVE", "Windows Live", "https://apis.live.net/v5.0/me"),
        trust_email!("windowslive", "WINDOWS_LIVE", "Windows Live"),
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
        email: text(profile, "/emails/preferred").or_else(|| text(profile, "/emails/account")),
        email_assurance: EmailAssurance::Unknown,
        // The whole name: the surname is in it already.
        name: text(profile, "/name"),
        picture: text(profile, "/profile_image_url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":"113","name":"Win Live","last_name":"Live","emails":{"account":"wl@x.test","preferred":""}}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "113");
        assert_eq!(profile.email.as_deref(), Some("wl@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Win Live"));
        assert_eq!(profile.picture.as_deref(), None);
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
