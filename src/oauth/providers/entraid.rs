//! Entra ID: version 2 of Microsoft's endpoints.

use serde_json::Value;

use super::super::json::{flag, joined, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};
use crate::settings::Setting;

pub(super) const PROVIDER: Provider = Provider {
    id: "entraid",
    variable: "ENTRAID",
    title: "Entra ID",
    settings: oauth2_settings!(
        "entraid", "ENTRAID", "Entra ID",
        scope: "email,profile,openid,offline_access",
        authorization_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
        token_url: "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        style: "body",
        client_secret!("entraid", "ENTRAID", "Entra ID"),
        profile_url!("entraid", "ENTRAID", "Entra ID", "https://graph.microsoft.com/oidc/userinfo"),
        trust_email!("entraid", "ENTRAID", "Entra ID"),
        Setting::text(
            "entraid-tenant",
            "AUTH_PROVIDER_ENTRAID_TENANT",
            "common",
            "Tenant at Entra ID, put in place of {tenant} in its addresses",
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
        subject: text(profile, "/sub").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        // Usually not there at all.
        email_assurance: match profile.get("email_verified") {
            None | Some(Value::Null) => EmailAssurance::Unknown,
            Some(_) => EmailAssurance::from_flag(flag(profile, "/email_verified")),
        },
        // Older tenants spell the members without underscores.
        name: joined([text(profile, "/given_name"), text(profile, "/family_name")])
            .or_else(|| joined([text(profile, "/givenname"), text(profile, "/familyname")]))
            .or_else(|| text(profile, "/name")),
        picture: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_names_are_read() {
        let responses = ProviderResponses { profile: json!({"sub":"111","given_name":"En","family_name":"Tra","email":"entra@x.test"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "111");
        assert_eq!(profile.email.as_deref(), Some("entra@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unknown);
        assert_eq!(profile.name.as_deref(), Some("En Tra"));
        assert_eq!(profile.picture.as_deref(), None);
        let old = json!({"sub":"111","givenname":"En","familyname":"Tra","email":"entra@x.test"});
        let old = ProviderResponses { profile: old, ..ProviderResponses::default() };
        assert_eq!(super::profile(&old).unwrap(), profile);
        for (flag, email_assurance) in
            [(json!(true), EmailAssurance::Verified), (json!(false), EmailAssurance::Unverified)]
        {
            let said = json!({"sub":"111","email":"entra@x.test","email_verified":flag});
            let said = ProviderResponses { profile: said, ..ProviderResponses::default() };
            assert_eq!(super::profile(&said).unwrap().email_assurance, email_assurance);
        }
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
