//! A confirmed change of address, and the link in the mail to the old one that takes it back.
//!
//! Each change leaves a ticket of its own, which nothing voids but time, its use, and the use of an
//! older one: whoever owned the account first decides. It goes to verified addresses only, and signs
//! nobody in (docs/security.md#notices).

use sqlx::PgConnection;

use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::notice::Notice;
use crate::domain::user::User;
use crate::flows::guards::endings::{Because, end};
use crate::flows::tickets::notices::{self, NoticeLink};
use crate::notify::message::mail_link;
use crate::persistence::tickets::NewTicket;
use crate::persistence::{constraints, tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Tells the old address of a user that it was replaced; `before` is the user before that. The caller
/// owns the transaction and has locked the user.
pub async fn tell_old_address(
    app: &App,
    db: &mut PgConnection,
    before: &User,
) -> Result<(), AuthError> {
    let after = users::find_by_ids(&mut *db, &[before.id]).await?.pop();
    let after = after.and_then(|user| user.email).unwrap_or_default();
    let host = after.rsplit_once('@').map_or("", |(_, host)| host);
    let notice = Notice::EmailChanged { host };
    let Some(old) = before.email.as_deref().filter(|_| notices::is_wanted(app, notice)) else {
        return Ok(());
    };
    let config = app.config.load_full();
    let target = config.accounts.redirects.client_url();
    let server_url = config.server.server_url.as_ref().filter(|_| !target.is_empty());
    let (Some(server_url), true) = (server_url, before.email_verified) else {
        return notices::promise_to(app, db, before, notice).await;
    };
    let kind = TicketKind::EmailChangeUndo;
    let ticket = Ticket::generate(kind);
    let now = app.clock.now();
    let expires_at = now + kind.lifetime();
    tickets::put_undo(
        &mut *db,
        &NewTicket {
            hash: &ticket.hash(),
            user_id: before.id,
            purpose: kind.name(),
            created_at: now,
            expires_at,
            code_challenge: None,
            email: Some(old),
            asked_by: &AskedBy::Anybody,
        },
    )
    .await?;
    // Where the change led to is a stranger's choice, perhaps; this is the operator's.
    let link = mail_link(server_url, kind.name(), ticket.expose(), target);
    let link = NoticeLink { link, ticket: ticket.expose().into(), expires_at };
    notices::promise_with_link(app, db, before, notice, link).await
}

/// Gives the user back the address that the ticket is about, and ends everything that is signed in or
/// pending.
pub async fn undo_email_change(app: &App, ticket: &Ticket) -> Result<(), AuthError> {
    let invalid = AuthError::Refused(ErrorCode::InvalidTicket);
    let (hash, purpose, now) = (ticket.hash(), ticket.kind().name(), app.clock.now());
    let mut transaction = app.pool.begin().await?;
    let found = tickets::find(&mut *transaction, &hash, purpose, ticket.expose(), now).await?;
    let Some(id) = found else { return Err(invalid) };
    users::lock(&mut *transaction, id).await?;
    let email = tickets::consume_undo(&mut *transaction, &hash, purpose, now).await?;
    let Some(email) = email else { return Err(invalid) };
    let user = users::find_by_ids(&mut *transaction, &[id]).await?.pop();
    let user = user.ok_or(invalid)?;
    if user.disabled {
        return Err(ErrorCode::DisabledUser.into());
    }
    users::restore_email(&mut *transaction, id, &email).await.map_err(constraints::refusal)?;
    end(app, &mut transaction, id, Because::AddressRestored).await?;
    notices::promise_to(app, &mut transaction, &user, Notice::EmailRestored).await?;
    transaction.commit().await?;
    tracing::info!(user.id = %id, "a change of address was taken back");
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    Ok(())
}
