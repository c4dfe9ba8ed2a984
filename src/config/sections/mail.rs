//! How mail leaves.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use crate::clients::postmark::PostmarkConfig;
use crate::config::reading::Reader;
use crate::config::rows;

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct MailConfig {
    pub transport: MailTransport,
    /// `AUTH_SMTP_SENDER` verbatim.
    pub sender: String,
    /// `AUTH_SMTP_X_SMTPAPI_HEADER`; empty is off.
    pub smtpapi_header: String,
    /// `AUTH_EMAIL_TEMPLATES_PATH`; falls back to the built-in templates when the folder is
    /// missing.
    pub templates_path: PathBuf,
    /// `AUTH_MAIL_DELIVERY` (ours).
    pub delivery: MailDelivery,
}

/// When a response leaves whose mail waits in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailDelivery {
    /// At once.
    Outbox,
    /// After the first attempt to deliver it, or after 5 seconds.
    BeforeResponse,
}

/// The way out for mail.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// No `AUTH_SMTP_HOST`: flows that need mail are refused.
    None,
    Smtp(SmtpConfig),
    /// `AUTH_SMTP_HOST=postmark`: its HTTP API, with templates that are kept there.
    Postmark(PostmarkConfig),
    /// Kept in this folder and shown on `/dev/inbox` (`keywright dev`).
    Capture {
        folder: PathBuf,
    },
}

/// `AUTH_SMTP_*`.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    /// `AUTH_SMTP_SECURE`: TLS from the first byte.
    pub implicit_tls: bool,
    /// `AUTH_SMTP_TLS` (ours); `None`: by host and origin of the database.
    pub tls: Option<SmtpTls>,
    pub user: String,
    pub password: SecretString,
    pub auth_method: SmtpAuthMethod,
    /// `AUTH_SMTP_CA_FILE` (ours): PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `AUTH_SMTP_HELO` (ours); empty is by the host.
    pub helo: String,
}

/// `AUTH_SMTP_TLS`: whether mail may go in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Nothing is sent without TLS.
    Required,
    /// STARTTLS where the server offers it.
    Opportunistic,
    /// No STARTTLS, whatever the server offers.
    None,
}

/// `AUTH_SMTP_AUTH_METHOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpAuthMethod {
    Login,
    Plain,
    CramMd5,
}

impl MailConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let config = Self {
            transport: read_transport(reader),
            sender: reader.text(&rows::mail::SMTP_SENDER),
            smtpapi_header: reader.text(&rows::mail::SMTP_X_SMTPAPI_HEADER),
            templates_path: PathBuf::from(reader.text(&rows::mail::EMAIL_TEMPLATES_PATH)),
            delivery: match reader.choice(&rows::mail::MAIL_DELIVERY) {
                Some("before-response") => MailDelivery::BeforeResponse,
                _ => MailDelivery::Outbox,
            },
        };
        for (variable, value) in [
            (&rows::mail::SMTP_SENDER, &config.sender),
            (&rows::mail::SMTP_X_SMTPAPI_HEADER, &config.smtpapi_header),
        ] {
            // It becomes a line of the mail's header.
            if value.contains(['\r', '\n', '\0']) {
                reader.refuse(variable, "it must not contain a line break");
            }
        }
        if config.sender.is_empty()
            && matches!(config.transport, MailTransport::Smtp(_) | MailTransport::Postmark(_))
        {
            reader.warn(&rows::mail::SMTP_SENDER, "not set: mail without a sender is refused");
        }
        config
    }
}

fn read_transport(reader: &mut Reader<'_>) -> MailTransport {
    let smtp = SmtpConfig {
        host: reader.text(&rows::mail::SMTP_HOST),
        port: reader.number(&rows::mail::SMTP_PORT, 1..=u16::MAX),
        implicit_tls: reader.boolean(&rows::mail::SMTP_SECURE),
        tls: match reader.choice(&rows::mail::SMTP_TLS) {
            Some("required") => Some(SmtpTls::Required),
            Some("opportunistic") => Some(SmtpTls::Opportunistic),
            Some(_) => Some(SmtpTls::None),
            None => None,
        },
        user: reader.text(&rows::mail::SMTP_USER),
        password: reader.secret(&rows::mail::SMTP_PASS),
        auth_method: match reader.choice(&rows::mail::SMTP_AUTH_METHOD) {
            Some("LOGIN") => SmtpAuthMethod::Login,
            Some("CRAM-MD5") => SmtpAuthMethod::CramMd5,
            _ => SmtpAuthMethod::Plain,
        },
        ca_file: Some(reader.text(&rows::mail::SMTP_CA_FILE))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        helo: reader.text(&rows::mail::SMTP_HELO),
    };
    // It becomes a part of a command.
    if !smtp.helo.bytes().all(|byte| byte.is_ascii_graphic()) {
        reader.refuse(&rows::mail::SMTP_HELO, "write a host name, or an address in brackets");
    }
    if smtp.implicit_tls && smtp.tls == Some(SmtpTls::None) {
        reader.refuse(&rows::mail::SMTP_TLS, "AUTH_SMTP_SECURE asks for TLS; unset one of them");
    }
    let postmark = PostmarkConfig {
        token: smtp.password.clone(),
        url: reader.required_url(&rows::mail::POSTMARK_URL),
        timeout: reader.duration(&rows::mail::POSTMARK_TIMEOUT, false),
    };
    let folder = reader.text(&rows::mail::MAIL_CAPTURE_FOLDER);
    match (smtp.host.as_str(), folder.is_empty()) {
        ("", true) => MailTransport::None,
        ("", false) => {
            reader.info(
                &rows::mail::MAIL_CAPTURE_FOLDER,
                "mail is kept in this folder, none is sent",
            );
            MailTransport::Capture { folder: PathBuf::from(folder) }
        }
        (_, false) => {
            reader.refuse(
                &rows::mail::MAIL_CAPTURE_FOLDER,
                "mail is either kept in a folder or sent; unset this or AUTH_SMTP_HOST",
            );
            MailTransport::None
        }
        ("postmark", true) => {
            if postmark.token.expose_secret().is_empty() {
                reader.refuse(&rows::mail::SMTP_PASS, "Postmark needs its server token here");
            }
            MailTransport::Postmark(postmark)
        }
        (_, true) => MailTransport::Smtp(smtp),
    }
}
