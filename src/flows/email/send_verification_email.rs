//! `POST /user/email/send-verification-email`.

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::mail::MailTemplate;
use crate::domain::return_target::{Landing, LandingWish};
use crate::flows::tickets::ticket_mail::{
    Recipient, pretend_to_promise, require_transport, send_ticket,
};
use crate::persistence::users;
use crate::tokens::ticket::TicketKind;

/// Sends the verification mail (again).
///
/// With `AUTH_CONCEAL_ERRORS` the answer is the same whatever is known about the address
/// (docs/reference-behaviour.md#state-is-for-the-owner).
pub async fn send_verification_email(
    app: &App,
    email: &EmailAddress,
    landing: LandingWish,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let landing = landing.resolve(&config.accounts.redirects)?;
    require_transport(app)?;
    match send(app, email, &landing).await {
        Err(AuthError::Refused(code)) if config.server.conceal_errors && code.row().sensitive => {
            pretend_to_promise(app).await
        }
        result => result,
    }
}

async fn send(app: &App, email: &EmailAddress, landing: &Landing) -> Result<(), AuthError> {
    let found = users::find_by_email(&app.pool, email).await?;
    let user = found.ok_or(ErrorCode::InvalidEmailPassword)?.user;
    match user.check_registered(&app.config().user_rules()) {
        Ok(()) | Err(ErrorCode::UnverifiedUser) => {}
        Err(refusal) => return Err(refusal.into()),
    }
    if user.email_verified {
        return Err(ErrorCode::EmailAlreadyVerified.into());
    }
    let (kind, template) = (TicketKind::VerifyEmail, MailTemplate::EmailVerify);
    send_ticket(app, kind, template, &Recipient::from(&user), landing).await
}
