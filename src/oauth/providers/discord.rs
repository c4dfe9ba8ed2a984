//! Discord.

use serde_json::Value;

use super::super::json::{flag, text};
use super::super::profile::{ProviderResponses, EmailAssurance, Profile, ProfileError};
use super::super::provider::{Protocol, Provider, Source, client_secret, oauth2_settings, profile_url};

pub(super) const PROVIDER: Provider = Provider {
    id: "discord",
    variable: "DISCORD",
    title: "Discord",
    settings: oauth2_settings!(
        "discord", "DISCORD", "Discord",
        scope: "identify,email",
        authorization_url: "https://discord.com/api/oauth2/authorize",
        token_url: "https://discord.com/api/oauth2/token",
        style: "body",
        client_secret!("discord", "DISCORD", "Discord"),
        profile_url!("discord", "DISCORD", "Discord", "https://discord.com/api/users/@me"),
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
        email: text(profile, "/email"),
        email_assurance: EmailAssurance::from_flag(flag(profile, "/verified")),
        name: text(profile, "/global_name").or_else(|| user_name(profile)),
        picture: picture(profile),
    })
}

/// Accounts of before 2023 share their name with others, told apart by four digits.
fn user_name(profile: &Value) -> Option<String> {
    let name = text(profile, "/username")?;
    Some(match text(profile, "/discriminator") {
        Some(digits) if digits != "0" => format!("{name}#{digits}"),
        _ => name,
    })
}

fn picture(profile: &Value) -> Option<String> {
    let (id, avatar) = (text(profile, "/id")?, text(profile, "/avatar")?);
    Some(format!("https://cdn.discordapp.com/avatars/{id}/{avatar}.png"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_today_have_no_discriminator_and_no_avatar_is_none() {
        let responses = ProviderResponses { profile: json!({"id":"104","username":"dis","discriminator":"0","email":"discord@x.test","verified":false,"avatar":null}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "104");
        assert_eq!(profile.email.as_deref(), Some("discord@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Unverified);
        assert_eq!(profile.name.as_deref(), Some("dis"));
        assert_eq!(profile.picture.as_deref(), None);
        let nobody = ProviderResponses { profile: json!({}), ..responses };
        assert_eq!(super::profile(&nobody), Err(ProfileError::NoId));
    }

    #[test]
    fn older_names_keep_their_discriminator() {
        let responses = ProviderResponses { profile: json!({"id":"1","username":"old","discriminator":"0042","email":"o@x.test","verified":true,"avatar":"abc"}), ..ProviderResponses::default() };
        let profile = profile(&responses).unwrap();
        assert_eq!(profile.subject, "1");
        assert_eq!(profile.email.as_deref(), Some("o@x.test"));
        assert_eq!(profile.email_assurance, EmailAssurance::Verified);
        assert_eq!(profile.name.as_deref(), Some("old#0042"));
        assert_eq!(profile.picture.as_deref(), Some("https://cdn.discordapp.com/avatars/1/abc.png"));
    }
}
