//! Mail as a flow orders it and the courier delivers it.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use time::OffsetDateTime;

use crate::domain::ids::{MessageId, UserId};

/// What a mail is for; the name is that of its template folder and of `X-Email-Template`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailTemplate {
    EmailVerify,
    EmailConfirmChange,
    SigninPasswordless,
    SigninOtp,
    PasswordReset,
}

impl MailTemplate {
    /// Every template.
    pub const ALL: [Self; 5] = [
        Self::EmailVerify,
        Self::EmailConfirmChange,
        Self::SigninPasswordless,
        Self::SigninOtp,
        Self::PasswordReset,
    ];

    /// The contract's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmailVerify => "email-verify",
            Self::EmailConfirmChange => "email-confirm-change",
            Self::SigninPasswordless => "signin-passwordless",
            Self::SigninOtp => "signin-otp",
            Self::PasswordReset => "password-reset",
        }
    }

    /// The template of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }

    /// `type` in the mailed link; `None`: the mail has a code and no link.
    pub const fn link_type(self) -> Option<&'static str> {
        match self {
            Self::EmailVerify => Some("emailVerify"),
            Self::EmailConfirmChange => Some("emailConfirmChange"),
            Self::SigninPasswordless => Some("signinPasswordless"),
            Self::SigninOtp => None,
            Self::PasswordReset => Some("passwordReset"),
        }
    }
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
    /// The plain ticket, or the code.
    #[serde(serialize_with = "exposed")]
    pub ticket: SecretString,
    /// Where the link leads in the end, as validated.
    pub redirect_to: String,
    /// `AUTH_SERVER_URL` as configured.
    pub server_url: String,
    /// `AUTH_CLIENT_URL` as configured.
    pub client_url: String,
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
