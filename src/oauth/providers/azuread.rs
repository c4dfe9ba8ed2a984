//! Azure AD: version 1 of Microsoft's endpoints, deprecated for Entra ID.

use super::super::json::{text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "azuread",
    variable: "AZUREAD",
    title: "Azure AD",
    settings: oauth2_settings!(
        "azuread", "AZUREAD", "Azure AD",
        scope: "email,profile,openid,offline_access",
        authorization_url: "https://login.microsoftonline.com/{tenant}/oauth2/authorize?prompt=select_account",
        token_url: "https://login.microsoftonline.com/{tenant}/oauth2/token",
        style: "body",
        client_secret!("azuread", "AZUREAD", "Azure AD"),
        profile_url!("azuread", "AZUREAD", "Azure AD", "https://login.microsoftonline.com/{tenant}/openid/userinfo"),
        trust_email!("azuread", "AZUREAD", "Azure AD"),
        Setting::text(
            "azuread-tenant",
            "AUTH_PROVIDER_AZUREAD_TENANT",
            "common",
            "Tenant at Azure AD, put in place of {tenant} in its addresses",
        )
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
        subject: text(profile, "/oid").ok_or(ProfileError::NoId)?,
        // The names that people sign in with may look like addresses, and belong to whoever runs
        // the tenant (docs/reference-behaviour.md#email-assurance).
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::Unknown,
        name: text(profile, "/name"),
        picture: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_to_sign_in_with_is_no_address() {
        let responses = ProviderResponses { profile: json!({"oid":"110","upn":"upn@x.test","preferred_username":"p@x.test","name":"Az Ure"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "110");
        assert_eq!(profile.email.as_deref(), None);
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("Az Ure"));
        assert_eq!(profile.picture.as_deref(), None);
        let nobody = ProviderResponses { profile: json!({"sub":"110"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
