//! Bitbucket.

use serde_json::Value;

use super::super::json::{flag, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, emails_url, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "bitbucket",
    variable: "BITBUCKET",
    title: "Bitbucket",
    settings: oauth2_settings!(
        "bitbucket", "BITBUCKET", "Bitbucket",
        scope: "account",
        authorization_url: "https://bitbucket.org/site/oauth2/authorize",
        token_url: "https://bitbucket.org/site/oauth2/access_token",
        style: "body",
        client_secret!("bitbucket", "BITBUCKET", "Bitbucket"),
        profile_url!("bitbucket", "BITBUCKET", "Bitbucket", "https://api.bitbucket.org/2.0/user"),
        emails_url!("bitbucket", "BITBUCKET", "Bitbucket"),
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
    let emails = responses.emails.pointer("/values").and_then(Value::as_array);
    let confirmed = emails.into_iter().flatten().find(|entry| flag(entry, "/is_confirmed"));
    // Without the scope for addresses there are none to see.
    if confirmed.is_none() && !responses.hides_emails {
        return Err(ProfileError::NoConfirmedEmail);
    }
    Ok(Profile {
        subject: text(profile, "/uuid").ok_or(ProfileError::NoId)?,
        email: confirmed.and_then(|entry| text(entry, "/email")),
        email_assurance: EmailAssurance::Verified,
        name: text(profile, "/display_name"),
        picture: text(profile, "/links/avatar/href"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_confirmed_address_counts() {
        let responses = ProviderResponses { profile: json!({"uuid":"{108}","display_name":"Bit B","links":{"avatar":{"href":"https://a.test/bb.png"}}}), emails: json!({"values":[{"email":"un@x.test","is_confirmed":false},{"email":"bb@x.test","is_confirmed":true}]}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "{108}");
        assert_eq!(profile.email.as_deref(), Some("bb@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("Bit B"));
        assert_eq!(profile.picture.as_deref(), Some("https://a.test/bb.png"));
        let unconfirmed = json!({"values":[{"email":"unc@x.test","is_confirmed":false}]});
        let unconfirmed = ProviderResponses { emails: unconfirmed, ..responses.clone() };
        assert_eq!(super::profile(&unconfirmed), Err(ProfileError::NoConfirmedEmail));
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }
}
