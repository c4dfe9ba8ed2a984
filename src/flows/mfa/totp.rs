//! The second factor by TOTP: what its three operations share.

use std::net::IpAddr;

use secrecy::ExposeSecret as _;
use sqlx::PgConnection;

use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::flows::guards::attempts;
use crate::flows::guards::attempts::{Account, Attempt, Factor};
use crate::flows::guards::bearer::{authenticate, authenticate_elevated};
use crate::flows::guards::live_session::{Caller, Sensitive};
use crate::flows::tickets::notices;
use crate::metrics::SecurityEvent;
use crate::persistence::pooled_connection::Transaction;
use crate::persistence::totp::{self as stored, TotpRow};
use crate::sealing::context;
use crate::totp;

/// The bearer of an operation that changes the second factor; elevation is asked for only by
/// `AUTH_MFA_REQUIRE_ELEVATED_CLAIM` (docs/reference-behaviour.md#mfa-changes-and-elevation).
pub async fn authenticate_change(
    app: &App,
    bearer: Option<&str>,
    operation: Sensitive,
) -> Result<Caller, AuthError> {
    if app.config().methods.mfa_elevation {
        authenticate_elevated(app, bearer, operation).await
    } else {
        authenticate(app, bearer)
    }
}

/// What a code proved.
#[must_use = "a wrong code proves nothing"]
pub enum Proof {
    Right,
    Wrong {
        /// Whether the account takes no more codes for a while.
        locks: bool,
    },
}

/// The refusal of a wrong code, once nothing is locked in the database.
pub async fn refuse_wrong_code(
    app: &App,
    transaction: Transaction,
    id: UserId,
    locks: bool,
) -> AuthError {
    drop(transaction);
    if locks {
        notices::tell_locked_by_id(app, id).await;
    }
    ErrorCode::InvalidTotp.into()
}

/// Takes one of the attempts at codes that this user has left, before anything is locked.
pub async fn begin_attempt(
    app: &App,
    id: UserId,
    client: IpAddr,
) -> Result<Attempt<'_>, AuthError> {
    attempts::begin(app, &Account::by_user(Factor::Totp, id, client)).await
}

/// Checks a code and uses it up; `row` is locked by the caller's transaction.
///
/// A code is good once, for whatever it was presented; wrong ones count against the account.
/// The stored form is brought up to date on the way.
pub async fn prove(
    app: &App,
    db: &mut PgConnection,
    id: UserId,
    row: &TotpRow,
    code: &str,
    attempt: Attempt<'_>,
) -> Result<Proof, AuthError> {
    let proved = check_code(app, db, id, row, code).await;
    match proved {
        Ok(()) => {
            attempt.succeeded();
            Ok(Proof::Right)
        }
        Err(AuthError::Refused(ErrorCode::InvalidTotp)) => {
            Ok(Proof::Wrong { locks: attempt.failed() })
        }
        Err(error) => Err(error),
    }
}

async fn check_code(
    app: &App,
    db: &mut PgConnection,
    id: UserId,
    row: &TotpRow,
    code: &str,
) -> Result<(), AuthError> {
    let text = row.secret.as_ref().ok_or(ErrorCode::NoTotpSecret)?;
    let opened = app
        .secrets
        .sealer
        .open(&context(id), text.expose_secret())
        .map_err(|error| AuthError::internal("TOTP secret not opened", error))?;
    let now = app.clock.now();
    let step = totp::check(&opened.secret, code, now)
        .map_err(|error| AuthError::internal("TOTP secret not usable", error))?
        .ok_or(ErrorCode::InvalidTotp)?;
    if !stored::accept_step(&mut *db, id, step, now).await? {
        let security_event = app.security.note(SecurityEvent::TotpReuse);
        tracing::warn!(
            security_event,
            user.id = %id,
            "a TOTP code came again, or one older than the last"
        );
        return Err(ErrorCode::InvalidTotp.into());
    }
    if app.secrets.replaces(opened.form) {
        let text = app.secrets.stored(id, &opened.secret);
        stored::set_secret(&mut *db, id, text.expose_secret()).await?;
    }
    Ok(())
}
