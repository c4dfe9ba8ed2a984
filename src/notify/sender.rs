//! From an outbox message to a mail that has left: render, build, hand over.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;

use crate::clients::postmark::{self, PostmarkConfig, RenderedMail, TemplatedMail};
use crate::clients::{self, ClientError};
use crate::config::{MailConfig, MailTransport};
use crate::domain::mail::{MailContent, OutboxMessage};
use crate::domain::schema_origin::Origin;
use crate::notify::inbox::{Captured, Inbox, InboxError};
use crate::notify::message::{self, Sender};
use crate::notify::operator::TemplateError;
use crate::notify::rendered::Values;
use crate::notify::smtp::{SmtpSetupError, SmtpTransport};
use crate::notify::smtp_error::SmtpError;
use crate::notify::templates::TemplateSet;

/// Why the mail settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MailSetupError {
    #[error("AUTH_EMAIL_TEMPLATES_PATH is unusable")]
    Templates(#[from] TemplateError),
    #[error("AUTH_SMTP_SENDER must be an address or `Name <address>`")]
    Sender,
    #[error("AUTH_SMTP_* are unusable")]
    Smtp(#[from] SmtpSetupError),
    #[error("cannot make an HTTP client for Postmark")]
    Postmark(#[from] reqwest::Error),
    #[error("the folder for captured mail is unusable")]
    Inbox(#[from] InboxError),
}

/// Why a mail has not left.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("mail is not configured, AUTH_SMTP_HOST is empty")]
    NotConfigured,
    #[error("cannot render the mail")]
    Render(#[from] minijinja::Error),
    #[error("cannot deliver the mail")]
    Smtp(#[from] SmtpError),
    #[error("Postmark did not take the mail")]
    Postmark(#[from] ClientError),
    #[error("cannot keep the mail")]
    Inbox(#[from] InboxError),
}

impl SendError {
    /// Whether another attempt has little hope; it may still be an operator's mistake.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Smtp(error) => error.is_permanent(),
            // Its word for an address or a template that it does not take.
            Self::Postmark(ClientError::Status(status)) => *status == 422,
            _ => false,
        }
    }
}

/// Sends mail as configured.
#[derive(Debug)]
pub struct MailSender {
    templates: TemplateSet,
    smtpapi_header: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    None,
    Smtp { transport: Box<SmtpTransport>, sender: Sender },
    Postmark { client: reqwest::Client, config: PostmarkConfig, sender: Sender },
    Capture { inbox: Inbox, sender: String },
}

impl MailSender {
    /// Reads templates and certificates; connects to nothing.
    pub fn from_config(
        config: &MailConfig,
        default_locale: &str,
        origin: Origin,
    ) -> Result<Self, MailSetupError> {
        let way = match &config.transport {
            MailTransport::None => Way::None,
            MailTransport::Smtp(smtp) => Way::Smtp {
                transport: Box::new(SmtpTransport::new(smtp, origin)?),
                sender: Sender::parse(&config.sender).ok_or(MailSetupError::Sender)?,
            },
            MailTransport::Postmark(postmark) => Way::Postmark {
                client: clients::client()?,
                config: postmark.clone(),
                sender: Sender::parse(&config.sender).ok_or(MailSetupError::Sender)?,
            },
            MailTransport::Capture { folder } => Way::Capture {
                inbox: Inbox::open(folder)?,
                sender: match config.sender.as_str() {
                    "" => "keywright@localhost".to_owned(),
                    sender => sender.to_owned(),
                },
            },
        };
        Ok(Self {
            templates: TemplateSet::load(&config.templates_path, default_locale)?,
            smtpapi_header: config.smtpapi_header.clone(),
            way,
        })
    }

    /// Whether flows that need mail can work at all.
    pub fn can_send(&self) -> bool {
        !matches!(self.way, Way::None)
    }

    /// The captured mail, if mail is captured.
    pub fn inbox(&self) -> Option<&Inbox> {
        match &self.way {
            Way::Capture { inbox, .. } => Some(inbox),
            Way::None | Way::Smtp { .. } | Way::Postmark { .. } => None,
        }
    }

    /// The text of an SMS with a code; its templates are beside those of mails.
    pub fn render_sms(&self, locale: &str, code: &str) -> Result<String, minijinja::Error> {
        self.templates.render_sms(locale, code)
    }

    /// Whether mail would leave: the SMTP server responds and takes our credentials.
    pub async fn check(&self) -> Result<(), SendError> {
        match &self.way {
            Way::None => Err(SendError::NotConfigured),
            Way::Smtp { transport, .. } => Ok(transport.check().await?),
            // Asking would already be a mail.
            Way::Postmark { .. } | Way::Capture { .. } => Ok(()),
        }
    }

    /// Sends the message; `Ok` means that it has left this process for good.
    pub async fn send(&self, message: &OutboxMessage) -> Result<(), SendError> {
        let render =
            || self.templates.render(message.template, &message.locale, &message.variables);
        match &self.way {
            Way::None => Err(SendError::NotConfigured),
            Way::Smtp { transport, sender } => {
                // Before the address is cut out: a line break would let another one be it.
                if message.recipient.contains(char::is_control) {
                    return Err(SmtpError::Address.into());
                }
                let bytes = message::build(message, &render()?, sender, &self.smtpapi_header);
                let to = message::envelope_address(&message.recipient);
                let to = message::with_ascii_domain(to);
                Ok(transport.deliver(sender.address(), &to, &bytes).await?)
            }
            Way::Postmark { client, config, sender } => {
                let values = Values::new(&message.variables, &message.locale);
                let mail = TemplatedMail {
                    template_alias: format!("{}.{}", message.locale, message.template.name()),
                    template_model: values.pairs().collect::<BTreeMap<_, _>>(),
                    from: sender.text(),
                    to: &message.recipient,
                };
                match postmark::send(client, config, &mail).await {
                    // There is no such template there, and notices come without being asked for.
                    Err(ClientError::Status(422))
                        if message.template.content() == MailContent::Notice =>
                    {
                        let rendered = render()?;
                        let mail = RenderedMail {
                            from: sender.text(),
                            to: &message.recipient,
                            subject: &rendered.subject,
                            html_body: &rendered.html,
                            text_body: rendered.text.as_deref(),
                        };
                        Ok(postmark::send_rendered(client, config, &mail).await?)
                    }
                    sent => Ok(sent?),
                }
            }
            Way::Capture { inbox, sender } => {
                let captured = Captured::new(message, render()?, sender);
                Ok(inbox.keep(captured).await?)
            }
        }
    }
}

/// What went wrong, cause by cause, without the recipient, whom servers like to quote, and without
/// the ticket.
pub fn describe(error: &SendError, message: &OutboxMessage) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let text = message::one_line(&text);
    let address = message::envelope_address(&message.recipient);
    let as_sent = message::with_ascii_domain(address);
    let secrets =
        [message.recipient.as_str(), address, &as_sent, message.variables.ticket.expose_secret()];
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(text, |text, secret| replace_ignoring_case(&text, secret, "<hidden>"))
}

fn replace_ignoring_case(text: &str, what: &str, by: &str) -> String {
    let (lower, what) = (text.to_ascii_lowercase(), what.to_ascii_lowercase());
    let mut replaced = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&what) {
        replaced.push_str(&text[at..at + found]);
        replaced.push_str(by);
        at += found + what.len();
    }
    replaced.push_str(&text[at..]);
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hidden_whatever_their_case() {
        let text = "550 <Ann@Example.com> unknown, ann@example.com é";
        assert_eq!(
            replace_ignoring_case(text, "ann@example.COM", "<hidden>"),
            "550 <<hidden>> unknown, <hidden> é"
        );
    }
}
