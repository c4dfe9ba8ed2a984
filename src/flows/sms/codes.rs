//! Codes by SMS.
//!
//! They are sent within the request, whose response says whether that worked; nothing is stored
//! before.

use crate::app::App;
use crate::clients::{ClientError, modica, twilio};
use crate::config::SmsProvider;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::flows::guards::recipients::{self, CountedSms};
use crate::flows::tickets::ticket_mail::stored_hash;
use crate::notify::inbox::Captured;
use crate::tokens::ticket::{Ticket, TicketKind};

/// A code that is on its way.
pub enum SentCode {
    /// Made here: this is to be stored.
    Ours(Ticket),
    /// The provider knows it.
    Providers,
    /// Nothing was sent, since the recipient has had enough; the response is the same.
    None,
}

impl SentCode {
    /// What is to be stored for this user.
    pub fn hash(&self, app: &App, user_id: UserId) -> Option<[u8; 32]> {
        match self {
            Self::Ours(ticket) => Some(stored_hash(app, user_id, ticket)),
            Self::Providers | Self::None => None,
        }
    }
}

/// The provider, or the response to an operation that needs one.
pub fn require_provider(app: &App) -> Result<SmsProvider, AuthError> {
    app.config().sms.provider.clone().ok_or_else(|| {
        AuthError::internal(
            "SMS are needed",
            "no provider: set AUTH_SMS_PROVIDER and its credentials",
        )
    })
}

/// Makes a code and sends it, unless the recipient has had enough
/// (docs/reference-behaviour.md#recipients-have-limits).
pub async fn send_code(
    app: &App,
    provider: &SmsProvider,
    phone: &str,
    locale: &str,
) -> Result<SentCode, AuthError> {
    let Some(counted) = recipients::may_text(app, phone).await? else { return Ok(SentCode::None) };
    let limit = app.config().sms.timeout;
    if let SmsProvider::TwilioVerify(config) = provider {
        let started =
            twilio::start_verification(&app.http_client, config, limit, phone, locale).await;
        if let Err(error) = started {
            return Err(not_sent(app, counted, &error).await);
        }
        app.sms.sent.increment();
        return Ok(SentCode::Providers);
    }
    let code = Ticket::generate(TicketKind::SmsOtp);
    let text = app
        .mail
        .load()
        .render_sms(locale, code.expose())
        .map_err(|error| AuthError::internal("SMS not rendered", error))?;
    let sent = match provider {
        SmsProvider::Twilio(config) => {
            twilio::send_message(&app.http_client, config, limit, phone, &text).await
        }
        SmsProvider::Modica(config) => {
            modica::send_message(&app.http_client, config, limit, phone, &text).await
        }
        SmsProvider::TwilioVerify(_) | SmsProvider::Dev => {
            keep(app, phone, &text).await?;
            app.sms.sent.increment();
            return Ok(SentCode::Ours(code));
        }
    };
    if let Err(error) = sent {
        return Err(not_sent(app, counted, &error).await);
    }
    app.sms.sent.increment();
    Ok(SentCode::Ours(code))
}

/// The reference's tests, and developers, read the code in the log: that is what this provider is for.
async fn keep(app: &App, phone: &str, text: &str) -> Result<(), AuthError> {
    tracing::info!(to = phone, body = text, "Dev SMS sent");
    let mail = app.mail.load_full();
    if let Some(inbox) = mail.inbox() {
        let sms = Captured::sms(phone, text, app.clock.now());
        inbox.keep(sms).await.map_err(|error| AuthError::internal("SMS not kept", error))?;
    }
    Ok(())
}

async fn not_sent(app: &App, counted: CountedSms, error: &ClientError) -> AuthError {
    app.sms.failed.increment();
    // Without an answer it may have been sent all the same.
    if let ClientError::Status(_) = error
        && let Err(error) = counted.give_back(app).await
    {
        tracing::warn!(error = &error as &dyn std::error::Error, "SMS counts though not sent");
    }
    tracing::error!(error = error as &dyn std::error::Error, "SMS not sent");
    ErrorCode::CannotSendSms.into()
}
