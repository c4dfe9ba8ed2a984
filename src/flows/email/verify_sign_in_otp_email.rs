//! `POST /signin/otp/email/verify`.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use futures_util::future::join;
use secrecy::{ExposeSecret as _, SecretString};

use super::verified_address::{Proof, prove_address};
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::attempts;
use crate::flows::guards::attempts::{Account, Factor};
use crate::flows::sessions::session::{IssuedSession, sign_in_with_ticket, start};
use crate::flows::tickets::code_check::{CheckedCode, check_code};
use crate::flows::tickets::notices;
use crate::persistence::sign_ins::{PresentedTicket, TicketProves};
use crate::persistence::{tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Signs in with a mailed code, which proves the address.
///
/// Every refusal of the code is the same, also for unknown addresses. Only six digits are a code
/// (docs/reference-behaviour.md#only-six-digits-are-a-code), and only so many may be presented
/// (`AUTH_OTP_MAX_TRIES`).
pub async fn verify_sign_in_otp_email(
    app: &App,
    email: &EmailAddress,
    code: &str,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    if !app.config().methods.otp_email {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let Ok(code) = Ticket::parse_code(TicketKind::EmailOtp, code) else {
        return Err(ErrorCode::InvalidTicket.into());
    };
    let account = Account::by_email(Factor::Code, email, client);
    // Both are looked up whatever the other one says, at the same time.
    let found = users::find_by_email(&app.pool, email);
    let (attempt, found) = join(attempts::begin(app, &account), found).await;
    let (attempt, found) = (attempt?, found?);
    // A stranger's try costs as many statements.
    let id = found.as_ref().map_or_else(UserId::random, |found| found.user.id);
    let matched = try_code(app, id, &code).await?;
    let user = found.map(|found| found.user);
    let (Some(user), Some(matched)) = (&user, matched) else {
        if attempt.failed() {
            Box::pin(notices::tell_locked(app, user.as_ref())).await;
        }
        return Err(ErrorCode::InvalidTicket.into());
    };
    attempt.succeeded();
    match user.check_registered(&app.config().user_rules()) {
        Ok(()) | Err(ErrorCode::UnverifiedUser) => {}
        Err(refusal) => return Err(refusal.into()),
    }

    if let Matched::Ours(hash) = &matched {
        let proves = TicketProves::EmailOfSignUp;
        let ticket = PresentedTicket { hash, purpose: TicketKind::EmailOtp.name(), proves };
        if let Some(session) = Box::pin(sign_in_with_ticket(app, id, ticket)).await? {
            return Ok(session);
        }
    }
    let mut transaction = app.pool.begin_for(user.id).await?;
    // The user first and then the ticket, as by everybody who changes a user and voids tickets.
    let before = users::lock(&mut *transaction, id).await?.ok_or(ErrorCode::InvalidTicket)?;
    let (by_registration, basis) = match matched {
        Matched::Ours(hash) => {
            let (purpose, now) = (TicketKind::EmailOtp.name(), app.clock.now());
            let consumed = tickets::consume(&mut *transaction, &hash, purpose, now).await?;
            (consumed.ok_or(ErrorCode::InvalidTicket)?.by_registration, SessionBasis::Ticket)
        }
        // Nobody knows who asked the reference for it: it does what it did there.
        Matched::Reference(password_hash) => (true, SessionBasis::UsedUp(password_hash)),
    };
    let proof = if by_registration {
        Proof::SignUpMail { browser: None }
    } else {
        Proof::OtherMail { browser: None }
    };
    prove_address(app, &mut transaction, id, &before, proof).await?;
    let started = start(app, &mut transaction, id, &basis).await?;
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    started.issue(app).await
}

/// Which code was presented.
enum Matched {
    /// To be used up by the transaction that signs in.
    Ours([u8; 32]),
    /// Used up already, when the user had this password hash.
    Reference(Option<SecretString>),
}

async fn try_code(app: &App, id: UserId, code: &Ticket) -> Result<Option<Matched>, AuthError> {
    match check_code(app, id, code).await? {
        CheckedCode::Right(hash) => return Ok(Some(Matched::Ours(hash))),
        CheckedCode::Wrong => return Ok(None),
        CheckedCode::NonePending => {}
    }
    let now = app.clock.now();
    let stored = tickets::consume_reference_code(&app.pool, id, now).await?;
    Ok(stored.and_then(|stored| {
        let (expected, code) = (stored.code.expose_secret().as_bytes(), code.expose().as_bytes());
        let matches = verify_slices_are_equal(expected, code).is_ok();
        matches.then_some(Matched::Reference(stored.password_hash))
    }))
}
