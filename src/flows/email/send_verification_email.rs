//! `POST /user/email/send-verification-email`.

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::return_target::{RequestedTarget, ReturnTarget};
use crate::flows::tickets::ticket_mail::{
    Recipient, pretend_to_promise, require_transport, send_ticket,
};
use crate::persistence::users;
use crate::tokens::ticket::TicketKind;

/// Sends the verification mail (again).
///
/// With `AUTH_CONCEAL_ERRORS` the response is the same whatever is known about the address
/// (docs/reference-behaviour.md#state-is-for-the-owner).
pub async fn send_verification_email(
    app: &App,
    email: &EmailAddress,
    return_target: RequestedTarget,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let return_target = return_target.resolve(&config.accounts.redirects)?;
    require_transport(app)?;
    match send(app, email, &return_target).await {
        Err(AuthError::Refused(code)) if config.server.conceal_errors && code.row().sensitive => {
            pretend_to_promise(app).await
        }
        result => result,
    }
}

async fn send(
    app: &App,
    email: &EmailAddress,
    return_target: &ReturnTarget,
) -> Result<(), AuthError> {
    let found = users::find_by_email(&app.pool, email).await?;
    let user = found.ok_or(ErrorCode::InvalidEmailPassword)?.user;
    match user.check_registered(&app.config().user_rules()) {
        Ok(()) | Err(ErrorCode::UnverifiedUser) => {}
        Err(refusal) => return Err(refusal.into()),
    }
    if user.email_verified {
        return Err(ErrorCode::EmailAlreadyVerified.into());
    }
    let kind = TicketKind::VerifyEmail;
    send_ticket(app, kind, &Recipient::from(&user), return_target).await
}
