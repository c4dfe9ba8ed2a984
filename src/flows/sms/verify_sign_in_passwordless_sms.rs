//! `POST /signin/passwordless/sms/otp`.

use std::net::IpAddr;

use futures_util::future::join;
use secrecy::SecretString;
use sqlx::PgConnection;

use crate::app::App;
use crate::clients::twilio::{self, TwilioConfig};
use crate::config::SmsProvider;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::attempts;
use crate::flows::guards::attempts::{Account, Factor};
use crate::flows::passwords::rules;
use crate::flows::sessions::session::{IssuedSession, sign_in, sign_in_with_ticket, start};
use crate::flows::tickets::code_check::{CheckedCode, check_code};
use crate::flows::tickets::notices;
use crate::persistence::sign_ins::{PresentedTicket, TicketProves};
use crate::persistence::{reference_sms_codes, tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Signs in with a code by SMS, which proves the number.
///
/// Every refusal of the code is the same, also for unknown numbers, and wrong ones are counted. The
/// state of an account is told to those who have its code
/// (docs/reference-behaviour.md#sms-refusals-have-codes).
pub async fn verify_sign_in_passwordless_sms(
    app: &App,
    phone: &str,
    code: &str,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let config = app.config.load_full();
    if !config.methods.sms_passwordless {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    if code.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let account = Account::by_phone(Factor::Code, phone, client);
    // Both are looked up whatever the other one says, at the same time.
    let found = users::find_by_phone(&app.pool, phone);
    let (attempt, found) = join(attempts::begin(app, &account), found).await;
    let (attempt, found) = (attempt?, found?);
    let id = found.as_ref().map_or_else(UserId::random, |user| user.id);
    let right_code = match &config.sms.provider {
        Some(SmsProvider::TwilioVerify(twilio)) => ask_twilio(app, twilio, phone, code).await?,
        _ => look_up(app, id, code, client).await?,
    };
    let (Some(user), Some(right_code)) = (&found, right_code) else {
        if attempt.failed() {
            Box::pin(notices::tell_locked(app, found.as_ref())).await;
        }
        return Err(ErrorCode::InvalidRequest.into());
    };
    attempt.succeeded();
    user.check_registered(&config.user_rules())?;

    let basis = match right_code {
        RightCode::Ours(_) | RightCode::Reference(_) => SessionBasis::Ticket,
        RightCode::Provider => SessionBasis::Phone(phone.to_owned()),
    };
    match &right_code {
        RightCode::Ours(hash) => {
            let (purpose, proves) = (TicketKind::SmsOtp.name(), TicketProves::Phone);
            let ticket = PresentedTicket { hash, purpose, proves };
            if let Some(session) = Box::pin(sign_in_with_ticket(app, id, ticket)).await? {
                return Ok(session);
            }
        }
        RightCode::Provider if user.phone_number_verified => return sign_in(app, id, &basis).await,
        RightCode::Reference(_) | RightCode::Provider => {}
    }
    let mut transaction = app.pool.begin_for(user.id).await?;
    users::lock(&mut *transaction, id).await?;
    use_up(app, &mut transaction, id, &right_code).await?;
    users::set_phone_number_verified(&mut *transaction, id).await?;
    let started = start(app, &mut transaction, id, &basis).await?;
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    started.issue(app).await
}

/// Who issued a code that was right.
enum RightCode {
    Ours([u8; 32]),
    /// A row that the reference wrote, as it was.
    Reference(SecretString),
    Provider,
}

async fn ask_twilio(
    app: &App,
    config: &TwilioConfig,
    phone: &str,
    code: &str,
) -> Result<Option<RightCode>, AuthError> {
    let limit = app.config().sms.timeout;
    match twilio::check_verification(&app.http_client, config, limit, phone, code).await {
        Ok(approved) => Ok(approved.then_some(RightCode::Provider)),
        Err(error) => Err(AuthError::internal("Twilio Verify did not respond", error)),
    }
}

async fn look_up(
    app: &App,
    id: UserId,
    code: &str,
    client: IpAddr,
) -> Result<Option<RightCode>, AuthError> {
    let Ok(ticket) = Ticket::parse_code(TicketKind::SmsOtp, code) else { return Ok(None) };
    match check_code(app, id, &ticket).await? {
        CheckedCode::Right(hash) => return Ok(Some(RightCode::Ours(hash))),
        CheckedCode::Wrong => return Ok(None),
        CheckedCode::NonePending => {}
    }
    let Some(stored) = reference_sms_codes::find(&app.pool, id, app.clock.now()).await? else {
        return Ok(None);
    };
    let outcome = rules::verify(app, &code.to_owned().into(), Some(&stored), client).await?;
    if !outcome.matches {
        // It counts no tries, so this was the only one.
        reference_sms_codes::void(&app.pool, id, &stored, app.clock.now()).await?;
    }
    Ok(outcome.matches.then_some(RightCode::Reference(stored)))
}

/// Of any number of parallel requests with one code, one gets past this.
async fn use_up(
    app: &App,
    db: &mut PgConnection,
    id: UserId,
    right_code: &RightCode,
) -> Result<(), AuthError> {
    let now = app.clock.now();
    let is_first = match right_code {
        RightCode::Ours(hash) => {
            let purpose = TicketKind::SmsOtp.name();
            tickets::consume(&mut *db, hash, purpose, now).await?.is_some()
        }
        RightCode::Reference(stored) => {
            reference_sms_codes::void(&mut *db, id, stored, now).await?
        }
        RightCode::Provider => true,
    };
    if is_first { Ok(()) } else { Err(ErrorCode::InvalidRequest.into()) }
}
