//! Codes of six digits that wait for their user: one try, counted for all nodes.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::ticket_mail::{pretend_to_promise, stored_hash};
use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::persistence::tickets;
use crate::tokens::ticket::Ticket;

/// What became of a try.
pub enum CheckedCode {
    /// This stored hash is to be used up by the transaction that signs in.
    Right([u8; 32]),
    Wrong,
    /// There is nothing to compare with: no code was sent, or its tries are used up.
    NonePending,
}

/// Counts a try and compares in constant time with each code that is pending; it counts for all of
/// them, and after `AUTH_OTP_MAX_TRIES` a code is dead
/// (docs/reference-behaviour.md#codes-have-few-tries).
pub async fn check_code(app: &App, id: UserId, code: &Ticket) -> Result<CheckedCode, AuthError> {
    let max_tries = app.config().methods.otp_max_tries;
    let hash = stored_hash(app, id, code);
    let now = app.clock.now();
    let purpose = code.kind().name();
    let pending = tickets::try_once_by_user(&app.pool, id, purpose, max_tries, now).await?;
    if pending.is_empty() {
        // Counting a try is a write; where there is nothing to count there is one too.
        pretend_to_promise(app).await?;
        return Ok(CheckedCode::NonePending);
    }
    let is_right = pending
        .iter()
        .fold(false, |is_right, stored| is_right | verify_slices_are_equal(&hash, stored).is_ok());
    if is_right { Ok(CheckedCode::Right(hash)) } else { Ok(CheckedCode::Wrong) }
}
