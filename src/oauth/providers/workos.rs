//! `WorkOS`: single sign-on of enterprises.

use super::super::json::{joined, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "workos",
    variable: "WORKOS",
    title: "WorkOS",
    settings: oauth2_settings!(
        "workos", "WORKOS", "WorkOS",
        scope: "",
        authorization_url: "https://api.workos.com/sso/authorize",
        token_url: "https://api.workos.com/sso/token",
        style: "body",
        client_secret!("workos", "WORKOS", "WorkOS"),
        profile_url!("workos", "WORKOS", "WorkOS", "https://api.workos.com/sso/profile"),
        trust_email!("workos", "WORKOS", "WorkOS"),
        Setting::text(
            "workos-default-organization",
            "AUTH_PROVIDER_WORKOS_DEFAULT_ORGANIZATION",
            "",
            "Organization at WorkOS, unless a request names one",
        )
        .live(),
        Setting::text(
            "workos-default-connection",
            "AUTH_PROVIDER_WORKOS_DEFAULT_CONNECTION",
            "",
            "Connection at WorkOS, unless a request names one",
        )
        .live(),
        Setting::text(
            "workos-default-domain",
            "AUTH_PROVIDER_WORKOS_DEFAULT_DOMAIN",
            "",
            "Domain at WorkOS",
        )
        .live(),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::Profile,
    client_id_header: None,
    takes_organizations: true,
    nonce: false,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = &responses.profile;
    Ok(Profile {
        subject: text(profile, "/id").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::Unknown,
        name: joined([text(profile, "/first_name"), text(profile, "/last_name")]),
        picture: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":"prof_109","email":"wo@x.test","first_name":"Work","last_name":"Os"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "prof_109");
        assert_eq!(profile.email.as_deref(), Some("wo@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Work Os"));
        assert_eq!(profile.picture.as_deref(), None);
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
