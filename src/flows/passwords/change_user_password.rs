//! `POST /user/password`.

use std::net::IpAddr;

use secrecy::SecretString;
use sqlx::PgConnection;

use super::rules;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::notice::Notice;
use crate::flows::email::verified_address::{Proof, prove_address};
use crate::flows::guards::bearer::{authenticate_elevated, registered};
use crate::flows::guards::endings::{Because, end};
use crate::flows::guards::live_session::{Caller, Sensitive};
use crate::flows::tickets::notices;
use crate::persistence::{tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Sets a new password: the bearer's, or else that of the user whose reset ticket this is.
///
/// A bearer that is absent, not valid, not elevated enough or of an ended session leaves the ticket to decide; together
/// with a good bearer it is neither looked at nor used up.
pub async fn change_user_password(
    app: &App,
    bearer: Option<&str>,
    ticket: Option<&str>,
    password: &SecretString,
    client: IpAddr,
) -> Result<(), AuthError> {
    match live(app, bearer).await {
        Ok(caller) => {
            registered(app, caller.id()).await?;
            rules::check_new(app, password).await?;
            let hash = rules::hash(app, password, client).await?;
            let mut transaction = app.pool.begin_for(caller.id()).await?;
            let caller = caller.lock(app, &mut transaction).await?;
            let because = Because::PasswordChanged { by: caller.session_id() };
            set(app, &mut transaction, caller.id(), &hash, because).await?;
            transaction.commit().await?;
            Ok(())
        }
        // Whoever is kept out is told so, ticket or not.
        Err(error @ AuthError::Refused(ErrorCode::DisabledUser)) => Err(error),
        Err(AuthError::Refused(_) | AuthError::InvalidRequest(_)) => {
            let ticket = ticket.ok_or(ErrorCode::InvalidRequest)?;
            reset(app, ticket, password, client).await
        }
        Err(error) => Err(error),
    }
}

/// The bearer, if it may change the password.
async fn live(app: &App, bearer: Option<&str>) -> Result<Caller, AuthError> {
    let caller = authenticate_elevated(app, bearer, Sensitive::Ordinary).await?;
    caller.check(app).await?;
    Ok(caller)
}

/// The ticket is used up by the change itself: a password that is refused leaves it.
async fn reset(
    app: &App,
    ticket: &str,
    password: &SecretString,
    client: IpAddr,
) -> Result<(), AuthError> {
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
    let password_hash = rules::hash(app, password, client).await?;

    let mut transaction = app.pool.begin().await?;
    // Before the ticket, as by everybody who changes a user and voids tickets.
    let before = users::lock(&mut *transaction, id).await?.ok_or_else(invalid)?;
    let consumed = match tickets::consume(&mut *transaction, &hash, purpose, now).await? {
        Some(consumed) => Some(consumed.user_id),
        None => tickets::consume_reference(&mut *transaction, ticket.expose(), now).await?,
    };
    if consumed != Some(id) {
        return Err(invalid());
    }
    prove_address(app, &mut transaction, id, &before, Proof::PasswordReset).await?;
    set(app, &mut transaction, id, &password_hash, Because::PasswordReset).await?;
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
    because: Because,
) -> Result<(), AuthError> {
    let had_one = users::set_password_hash(&mut *db, id, hash).await?;
    end(app, db, id, because).await?;
    let notice = match because {
        Because::PasswordReset => Notice::PasswordReset,
        _ if had_one => Notice::PasswordChanged,
        _ => Notice::PasswordSet,
    };
    Box::pin(notices::promise(app, db, id, notice)).await
}
