//! Mail as a flow orders it and the courier delivers it.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;

use crate::domain::ids::{MessageId, UserId};
use crate::domain::redirect::host_of;

/// What a mail is for; the name is that of its template folder and of `X-Email-Template`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailTemplate {
    EmailVerify,
    EmailConfirmChange,
    SigninPasswordless,
    SigninOtp,
    PasswordReset,
    NoticePasswordSet,
    NoticePasswordChanged,
    NoticePasswordReset,
    NoticeEmailChanged,
    NoticeEmailRestored,
    NoticeSecurityKeyAdded,
    NoticeSecurityKeyRemoved,
    NoticeTotpOn,
    NoticeTotpOff,
    NoticePatMade,
    NoticeIdentityLinked,
    NoticeIdentityRemoved,
    NoticeSignInLocked,
    NoticeAddressProved,
}

impl MailTemplate {
    /// Every template.
    pub const ALL: [Self; 19] = [
        Self::EmailVerify,
        Self::EmailConfirmChange,
        Self::SigninPasswordless,
        Self::SigninOtp,
        Self::PasswordReset,
        Self::NoticePasswordSet,
        Self::NoticePasswordChanged,
        Self::NoticePasswordReset,
        Self::NoticeEmailChanged,
        Self::NoticeEmailRestored,
        Self::NoticeSecurityKeyAdded,
        Self::NoticeSecurityKeyRemoved,
        Self::NoticeTotpOn,
        Self::NoticeTotpOff,
        Self::NoticePatMade,
        Self::NoticeIdentityLinked,
        Self::NoticeIdentityRemoved,
        Self::NoticeSignInLocked,
        Self::NoticeAddressProved,
    ];

    /// The contract's name; those of notices are Keywright's own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmailVerify => "email-verify",
            Self::EmailConfirmChange => "email-confirm-change",
            Self::SigninPasswordless => "signin-passwordless",
            Self::SigninOtp => "signin-otp",
            Self::PasswordReset => "password-reset",
            Self::NoticePasswordSet => "notice-password-set",
            Self::NoticePasswordChanged => "notice-password-changed",
            Self::NoticePasswordReset => "notice-password-reset",
            Self::NoticeEmailChanged => "notice-email-changed",
            Self::NoticeEmailRestored => "notice-email-restored",
            Self::NoticeSecurityKeyAdded => "notice-security-key-added",
            Self::NoticeSecurityKeyRemoved => "notice-security-key-removed",
            Self::NoticeTotpOn => "notice-totp-on",
            Self::NoticeTotpOff => "notice-totp-off",
            Self::NoticePatMade => "notice-pat-made",
            Self::NoticeIdentityLinked => "notice-identity-linked",
            Self::NoticeIdentityRemoved => "notice-identity-removed",
            Self::NoticeSignInLocked => "notice-sign-in-locked",
            Self::NoticeAddressProved => "notice-address-proved",
        }
    }

    /// The template of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }

    /// What the reader is to do with the mail.
    pub const fn content(self) -> MailContent {
        match self {
            Self::EmailVerify
            | Self::EmailConfirmChange
            | Self::SigninPasswordless
            | Self::PasswordReset => MailContent::Link,
            Self::SigninOtp => MailContent::Code,
            Self::NoticePasswordSet
            | Self::NoticePasswordChanged
            | Self::NoticePasswordReset
            | Self::NoticeEmailChanged
            | Self::NoticeEmailRestored
            | Self::NoticeSecurityKeyAdded
            | Self::NoticeSecurityKeyRemoved
            | Self::NoticeTotpOn
            | Self::NoticeTotpOff
            | Self::NoticePatMade
            | Self::NoticeIdentityLinked
            | Self::NoticeIdentityRemoved
            | Self::NoticeSignInLocked
            | Self::NoticeAddressProved => MailContent::Notice,
        }
    }
}

/// What the reader is to do with a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailContent {
    /// Follow a link.
    Link,
    /// Type a code.
    Code,
    /// Know something. A change of address may have a link that takes it back.
    Notice,
}

/// What a template may say, besides the locale; stored with the message as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MailVariables {
    /// See `notify::message::mail_link`; empty for codes. Contains the ticket.
    #[serde(serialize_with = "exposed")]
    pub link: SecretString,
    /// Of the user.
    pub display_name: String,
    /// The user's address.
    pub email: String,
    /// The address that is to replace it; empty for anything but a change.
    pub new_email: String,
    /// The plain ticket, or the code; empty for notices.
    #[serde(serialize_with = "exposed")]
    pub ticket: SecretString,
    /// Where the link leads in the end, as validated.
    pub redirect_to: String,
    /// `AUTH_SERVER_URL` as configured.
    pub server_url: String,
    /// `AUTH_CLIENT_URL` as configured.
    pub client_url: String,
    /// When it happened, in UTC; of notices only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// The provider, or the host of the new address; of notices only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl MailVariables {
    /// What a subject may say: of addresses that strangers have a say in, the host alone.
    ///
    /// People trust the line that their mail program shows in bold, and a path or a query can be any
    /// sentence.
    #[must_use]
    pub fn for_subject(&self) -> Self {
        Self {
            link: host_of(self.link.expose_secret()).into(),
            redirect_to: host_of(&self.redirect_to),
            ..self.clone()
        }
    }
}

/// The outbox is the one place that has to keep the secret: without it there is nothing to send.
fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// A mail that is to be sent once the transaction it is written in has committed.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub id: MessageId,
    /// The message goes with its user when that is deleted.
    pub user_id: Option<UserId>,
    /// The stored address, never the typed one where a user was looked up by it.
    pub recipient: String,
    pub template: MailTemplate,
    /// Of the user; templates fall back.
    pub locale: String,
    pub variables: MailVariables,
    pub created_at: OffsetDateTime,
    /// When the ticket expires; not sent after that.
    pub expires_at: OffsetDateTime,
}

/// A message taken from the outbox by the one sender that may send it now.
#[derive(Clone, Debug)]
pub struct OutboxMessage {
    pub id: MessageId,
    pub recipient: String,
    pub template: MailTemplate,
    pub locale: String,
    pub variables: MailVariables,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// Deliveries tried, with the one that starts now; tells a late sender from the current one.
    pub attempts: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_names_lead_back_to_their_template() {
        for template in MailTemplate::ALL {
            assert_eq!(MailTemplate::from_name(template.name()), Some(template));
        }
        assert_eq!(MailTemplate::from_name("../email-verify"), None);
    }

    #[test]
    fn variables_survive_the_outbox_and_hide_secrets_in_debug() {
        let variables = MailVariables {
            link: "https://x/verify?ticket=s3cret".into(),
            ticket: "s3cret".into(),
            display_name: "Ann".to_owned(),
            ..MailVariables::default()
        };
        assert!(!format!("{variables:?}").contains("s3cret"));
        let json = serde_json::to_value(&variables).unwrap();
        assert_eq!(json["displayName"], "Ann");
        assert_eq!(json["ticket"], "s3cret");
        let back: MailVariables = serde_json::from_value(json).unwrap();
        assert_eq!(back.ticket.expose_secret(), "s3cret");
    }
}
