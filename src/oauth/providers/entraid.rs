//! Entra ID: version 2 of Microsoft's endpoints.

use serde_json::Value;

use super::super::json::{flag, joined, text};
use super::super::profile::{Answers, Attestation, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url, trust_email};
use crate::config::settings::Setting;

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

fn profile(answers: &Answers) -> Result<Profile, ProfileError> {
    let profile = &answers.profile;
    Ok(Profile {
        subject: text(profile, "/sub").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        // Usually not there at all.
        attestation: match profile.get("email_verified") {
            None | Some(Value::Null) => Attestation::Unknown,
            Some(_) => Attestation::from_flag(flag(profile, "/email_verified")),
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
        let answers = Answers { profile: json!({"sub":"111","given_name":"En","family_name":"Tra","email":"entra@x.test"}), ..Answers::default() };
        let profile = profile(&answers).unwrap();
        assert_eq!(profile.subject, "111");
        assert_eq!(profile.email.as_deref(), Some("entra@x.test"));
        assert_eq!(profile.attestation, Attestation::Unknown);
        assert_eq!(profile.name.as_deref(), Some("En Tra"));
        assert_eq!(profile.picture.as_deref(), None);
        let old = json!({"sub":"111","givenname":"En","familyname":"Tra","email":"entra@x.test"});
        let old = Answers { profile: old, ..Answers::default() };
        assert_eq!(super::profile(&old).unwrap(), profile);
        for (flag, attestation) in
            [(json!(true), Attestation::Verified), (json!(false), Attestation::Unverified)]
        {
            let said = json!({"sub":"111","email":"entra@x.test","email_verified":flag});
            let said = Answers { profile: said, ..Answers::default() };
            assert_eq!(super::profile(&said).unwrap().attestation, attestation);
        }
        let nobody = Answers { profile: json!({}), ..answers };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
