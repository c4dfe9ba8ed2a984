//! GitHub, also an Enterprise server by its own addresses.

use serde_json::Value;

use super::super::json::{flag, numeric_id, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, emails_url, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "github",
    variable: "GITHUB",
    title: "GitHub",
    settings: oauth2_settings!(
        "github", "GITHUB", "GitHub",
        own_urls: false,
        scope: "user:email",
        authorization_url: "https://github.com/login/oauth/authorize",
        token_url: "https://github.com/login/oauth/access_token",
        style: "body",
        client_secret!("github", "GITHUB", "GitHub"),
        profile_url!("github", "GITHUB", "GitHub", "https://api.github.com/user", own: false),
        emails_url!("github", "GITHUB", "GitHub"),
    ),
    protocol: Protocol::OAuth2,
    authorization_parameters: &[],
    source: Source::ProfileAndEmails,
    client_id_header: None,
    takes_organizations: false,
    nonce: false,
    profile,
};

fn profile(responses: &ProviderResponses) -> Result<Profile, ProfileError> {
    let profile = &responses.profile;
    // Fine-grained tokens and GitHub Apps need a right of their own to see addresses.
    let emails = match &responses.emails {
        _ if responses.hides_emails => &[],
        emails => emails.as_array().ok_or(ProfileError::Empty)?.as_slice(),
    };
    let is_verified = |entry: &&Value| flag(entry, "/verified");
    // The primary address if it is verified, else the first that is, else the first of all (5.3).
    let email = emails
        .iter()
        .filter(is_verified)
        .find(|entry| flag(entry, "/primary"))
        .or_else(|| emails.iter().find(is_verified))
        .or_else(|| emails.first());
    Ok(Profile {
        subject: numeric_id(profile, "/id").ok_or(ProfileError::NoId)?,
        email: email.and_then(|entry| text(entry, "/email")),
        email_assurance: EmailAssurance::from_flag(email.is_some_and(|entry| flag(entry, "/verified"))),
        name: text(profile, "/name").or_else(|| text(profile, "/login")),
        picture: text(profile, "/avatar_url"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_profile_is_understood() {
        let responses = ProviderResponses { profile: json!({"id":101,"login":"gh","name":"Git Hub","avatar_url":"https://a.test/gh.png"}), emails: json!([{"email":"gh@x.test","verified":true,"primary":true}]), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "101");
        assert_eq!(profile.email.as_deref(), Some("gh@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("Git Hub"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/gh.png"));
        let unlisted = ProviderResponses { emails: json!({"message":"x"}), ..responses.clone() };
        assert_eq!(super::profile(&unlisted), Err(ProfileError::Empty));
        let nobody = ProviderResponses { profile: json!({"login":"gh"}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }

    #[test]
    fn a_verified_address_comes_before_the_first() {
        let responses = ProviderResponses { profile: json!({"id":101,"login":"gh","name":null}), emails: json!([{"email":"a@x.test","verified":false},{"email":"z@x.test","verified":true,"primary":true}]), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "101");
        assert_eq!(profile.email.as_deref(), Some("z@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("gh"));
        assert_eq!(profile.picture.as_deref(), None);
    }

    #[test]
    fn a_primary_address_that_is_not_verified_does_not_count() {
        let responses = ProviderResponses { profile: json!({"id":101,"login":"gh"}), emails: json!([{"email":"p@x.test","verified":false,"primary":true},{"email":"v@x.test","verified":true}]), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "101");
        assert_eq!(profile.email.as_deref(), Some("v@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("gh"));
        assert_eq!(profile.picture.as_deref(), None);
    }

    #[test]
    fn without_addresses_there_is_none() {
        let responses = ProviderResponses { profile: json!({"id":101,"login":"gh","email":"public@x.test"}), emails: json!([]), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "101");
        assert_eq!(profile.email.as_deref(), None);
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("gh"));
        assert_eq!(profile.picture.as_deref(), None);
    }
}
