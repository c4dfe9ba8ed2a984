//! Why an SMTP delivery failed, and whether there is hope for another try.

use std::time::Duration;

/// Longest delivery, from the first packet to the server's acceptance.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a mail could not be handed to the server.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error("smtp {step} failed")]
    Step {
        step: &'static str,
        #[source]
        source: lettre::transport::smtp::Error,
    },
    #[error("the certificate of the smtp server cannot be trusted (see AUTH_SMTP_CA_FILE)")]
    Certificate(#[source] keywright_tls::TlsError),
    #[error("AUTH_SMTP_AUTH_METHOD PLAIN and LOGIN need an encrypted connection")]
    Unencrypted,
    #[error(
        "the smtp server offers no encryption; AUTH_SMTP_TLS=opportunistic sends all the same, for \
         everybody on the way to read"
    )]
    NoTls,
    #[error("smtp server asked something unexpected during sign-in")]
    UnexpectedChallenge,
    #[error("address cannot be used in smtp")]
    Address,
    #[error("smtp server does not take addresses outside ASCII")]
    NoSmtpUtf8,
    #[error("smtp delivery took longer than {} s", SEND_TIMEOUT.as_secs())]
    Timeout,
}

impl SmtpError {
    pub(super) fn at(step: &'static str) -> impl Fn(lettre::transport::smtp::Error) -> Self {
        move |source| Self::Step { step, source }
    }

    /// Whether the server (or the address) leaves little hope for this recipient or message.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Step { step, source } => {
                matches!(*step, "RCPT TO" | "DATA") && source.is_permanent()
            }
            Self::Address | Self::NoSmtpUtf8 => true,
            Self::Certificate(_)
            | Self::NoTls
            | Self::Unencrypted
            | Self::UnexpectedChallenge
            | Self::Timeout => false,
        }
    }
}
