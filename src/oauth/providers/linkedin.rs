//! `LinkedIn`.

use super::super::json::{flag, joined, text};
use super::super::profile::{Answers, Attestation, Profile, ProfileError};
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
        // It answers a verifier of a confidential client with invalid_client.
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

fn profile(answers: &Answers) -> Result<Profile, ProfileError> {
    let profile = &answers.profile;
    Ok(Profile {
        subject: text(profile, "/sub").ok_or(ProfileError::NoId)?,
        email: text(profile, "/email"),
        attestation: Attestation::from_flag(flag(profile, "/email_verified")),
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
        let answers = Answers { profile: json!({"sub":"103","email":"li@x.test","email_verified":false,"given_name":"Lin","family_name":"Ked","picture":"https://a.test/li.png"}), ..Answers::default() };
        let profile = profile(&answers).unwrap();
        assert_eq!(profile.subject, "103");
        assert_eq!(profile.email.as_deref(), Some("li@x.test"));
        assert_eq!(profile.attestation, Attestation::Unverified);
        assert_eq!(profile.name.as_deref(), Some("Lin Ked"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/li.png"));
        let nameless = json!({"sub":"103","email":"li@x.test","email_verified":true});
        let nameless = super::profile(&Answers { profile: nameless, ..Answers::default() }).unwrap();
        assert_eq!(nameless.name.as_deref(), Some("li@x.test"));
        assert_eq!(nameless.attestation, Attestation::Verified);
        let nobody = Answers { profile: json!({"id":"103"}), ..answers };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
