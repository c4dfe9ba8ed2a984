//! `POST /user/password/reset`.

use super::mail::{Recipient, pretend_to_promise, promise_ticket, require_transport};
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::AuthError;
use crate::domain::mail::MailTemplate;
use crate::persistence::users;
use crate::tokens::ticket::TicketKind;

/// Mails a link by which a new password can be set.
///
/// Whatever is known about the address, the answer is the same and takes as long (S-07). The mail
/// goes to the stored address, not to the typed one (S-23).
pub async fn send_password_reset_email(
    app: &App,
    email: &EmailAddress,
    redirect_to: Option<&str>,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let redirect_to = config.accounts.redirects.choose(redirect_to)?;
    require_transport(app)?;
    let found = users::find_by_email(&app.pool, email).await?.map(|found| found.user);
    let welcome = found.filter(|user| {
        config.accounts.email_access.allows(email.as_str())
            && user.check_registered(&config.user_rules()).is_ok()
    });
    let Some(user) = welcome else {
        return pretend_to_promise(app).await;
    };
    let recipient = Recipient {
        user_id: user.id,
        email: user.email.as_deref().unwrap_or_default(),
        new_email: None,
        display_name: &user.display_name,
        locale: &user.locale,
    };
    let mut transaction = app.pool.begin().await?;
    let mail = promise_ticket(
        app,
        &mut transaction,
        TicketKind::PasswordReset,
        MailTemplate::PasswordReset,
        &recipient,
        &redirect_to,
    )
    .await?;
    transaction.commit().await?;
    mail.send(app);
    Ok(())
}
