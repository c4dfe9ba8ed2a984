//! `POST /user/password/reset`.

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::AuthError;
use crate::domain::return_target::RequestedTarget;
use crate::flows::tickets::ticket_mail::{
    Recipient, pretend_to_promise, require_transport, send_ticket,
};
use crate::persistence::users;
use crate::tokens::ticket::TicketKind;

/// Mails a link by which a new password can be set.
///
/// Whatever is known about the address, the response is the same and takes as long. The mail goes
/// to the stored address, not to the typed one
/// (docs/reference-behaviour.md#mail-goes-to-the-stored-address).
pub async fn send_password_reset_email(
    app: &App,
    email: &EmailAddress,
    return_target: RequestedTarget,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let return_target = return_target.resolve(&config.accounts.redirects)?;
    require_transport(app)?;
    let found = users::find_by_email(&app.pool, email).await?.map(|found| found.user);
    let welcome = found.filter(|user| {
        config.accounts.email_access.allows(email.as_str())
            && user.check_registered(&config.user_rules()).is_ok()
    });
    let Some(user) = welcome else {
        return pretend_to_promise(app).await;
    };
    let kind = TicketKind::PasswordReset;
    send_ticket(app, kind, &Recipient::from(&user), &return_target).await
}
