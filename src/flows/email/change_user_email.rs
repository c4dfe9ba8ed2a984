//! `POST /user/email/change`.

use secrecy::SecretString;

use super::verified_address::browser_hash;
use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::random_secret::random_secret;
use crate::domain::return_target::RequestedTarget;
use crate::flows::guards::bearer::{authenticate_elevated, registered};
use crate::flows::guards::live_session::Sensitive;
use crate::flows::tickets::ticket_mail::{Recipient, promise_ticket, require_transport};
use crate::persistence::{tickets, users};
use crate::tokens::ticket::TicketKind;

/// Mails a link to the new address; only following it changes anything
/// (docs/reference-behaviour.md#asking-verifies-nothing). Returns what the browser has to keep to be
/// signed in by the link.
///
/// With `AUTH_CONCEAL_ERRORS` the response says nothing about the new address: where somebody has it
/// already, everything is as if the link got lost.
pub async fn change_user_email(
    app: &App,
    bearer: Option<&str>,
    new_email: &EmailAddress,
    return_target: RequestedTarget,
) -> Result<SecretString, AuthError> {
    let config = app.config.load_full();
    let caller = authenticate_elevated(app, bearer, Sensitive::Ordinary).await?;
    let return_target = return_target.resolve(&config.accounts.redirects)?;
    let user = registered(app, caller.id()).await?;
    // The rules for addresses hold for new ones too.
    if !config.accounts.email_access.allows(new_email.as_str()) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    // Their own address in other capitals is nobody else's; to the letter there is nothing to change.
    let found = users::find_by_email(&app.pool, new_email).await?;
    let is_taken = found.is_some_and(|found| {
        found.user.id != user.user.id || found.user.email.as_deref() == Some(new_email.as_str())
    });
    if is_taken && !config.server.conceal_errors {
        return Err(ErrorCode::EmailAlreadyInUse.into());
    }
    require_transport(app)?;

    let user = &user.user;
    let recipient = Recipient { new_email: Some(new_email.as_str()), ..Recipient::from(user) };
    let mut transaction = app.pool.begin_for(user.id).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    let id = caller.id();
    if users::set_new_email(&mut *transaction, id, new_email).await? {
        // What was mailed to another address proves nothing about this one.
        let kinds = [TicketKind::EmailConfirmChange.name()];
        tickets::void(&mut transaction, id, &kinds, app.clock.now()).await?;
    }
    let browser = random_secret();
    let asked_by =
        AskedBy::Session { id: caller.session_id(), browser_hash: Some(browser_hash(&browser)) };
    let mail = promise_ticket(
        app,
        &mut transaction,
        TicketKind::EmailConfirmChange,
        &recipient,
        &return_target,
        &asked_by,
    )
    .await?;
    if is_taken {
        mail.withdraw(&mut transaction).await?;
        transaction.commit().await?;
    } else {
        transaction.commit().await?;
        mail.send(app).await;
    }
    Ok(browser)
}
