//! `POST /user/password`.

use secrecy::SecretString;
use sqlx::PgConnection;

use super::rules;
use crate::app::App;
use crate::config::ChangeEnds;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{SessionId, UserId};
use crate::flows::email::verified_address::settle_links;
use crate::flows::guards::bearer::{Sensitive, authenticate_elevated, registered};
use crate::persistence::{refresh_tokens, tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Tickets that lead to a session without the new password.
const VOIDED: [&str; 5] = [
    TicketKind::PasswordReset.name(),
    TicketKind::PasswordlessEmail.name(),
    TicketKind::EmailOtp.name(),
    TicketKind::SmsOtp.name(),
    TicketKind::MfaTotp.name(),
];

/// Sets a new password: the bearer's, or else that of the user whose reset ticket this is.
///
/// A bearer that is absent, not valid or not elevated enough leaves the ticket to decide; together
/// with a good bearer it is neither looked at nor used up.
pub async fn change_user_password(
    app: &App,
    bearer: Option<&str>,
    ticket: Option<&str>,
    password: &SecretString,
) -> Result<(), AuthError> {
    match authenticate_elevated(app, bearer, Sensitive::Ordinary).await {
        Ok(caller) => {
            registered(app, caller.id).await?;
            rules::check_new(app, password).await?;
            let hash = rules::hash(app, password).await?;
            let mut transaction = app.pool.begin().await?;
            set(app, &mut transaction, caller.id, &hash, caller.session_id).await?;
            transaction.commit().await?;
            Ok(())
        }
        Err(AuthError::Refused(_) | AuthError::InvalidRequest(_)) => {
            let ticket = ticket.ok_or(ErrorCode::InvalidRequest)?;
            reset(app, ticket, password).await
        }
        Err(error) => Err(error),
    }
}

/// The ticket is used up by the change itself: a password that is refused leaves it.
async fn reset(app: &App, ticket: &str, password: &SecretString) -> Result<(), AuthError> {
    let invalid = || AuthError::Refused(ErrorCode::InvalidTicket);
    let ticket = match Ticket::parse(ticket) {
        Ok(ticket) if ticket.kind() == TicketKind::PasswordReset => ticket,
        _ => return Err(invalid()),
    };
    let (hash, purpose) = (ticket.hash(), ticket.kind().name());
    let now = app.clock.now();
    let id = tickets::find(&app.pool, &hash, purpose, ticket.expose(), now)
        .await?
        .ok_or_else(invalid)?;
    registered(app, id).await?;
    rules::check_new(app, password).await?;
    let password_hash = rules::hash(app, password).await?;

    let mut transaction = app.pool.begin().await?;
    let consumed = match tickets::consume(&mut *transaction, &hash, purpose, now).await? {
        Some(consumed) => Some(consumed.user_id),
        None => tickets::consume_reference(&mut *transaction, ticket.expose(), now).await?,
    };
    if consumed != Some(id) {
        return Err(invalid());
    }
    settle_links(app, &mut transaction, id, None).await?;
    set(app, &mut transaction, id, &password_hash, None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Whoever knew the old password is out, with whatever it led to
/// (docs/reference-behaviour.md#new-password-ends-sessions).
async fn set(
    app: &App,
    db: &mut PgConnection,
    id: UserId,
    hash: &str,
    kept: Option<SessionId>,
) -> Result<(), AuthError> {
    users::set_password_hash(&mut *db, id, hash).await?;
    let ends = app.config().passwords.change_ends;
    if ends != ChangeEnds::Nothing {
        tickets::void(&mut *db, id, &VOIDED, app.clock.now()).await?;
        let and_pats = ends == ChangeEnds::SessionsAndTokens;
        refresh_tokens::delete_others(&mut *db, id, kept, and_pats).await?;
    }
    Ok(())
}
