//! `POST /signin/mfa/totp`.

use std::net::IpAddr;

use super::totp::{Proof, begin_attempt, prove, refuse_wrong_code};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::session_basis::SessionBasis;
use crate::flows::sessions::session::{IssuedSession, start};
use crate::persistence::tickets::ReferenceTicket;
use crate::persistence::{tickets, totp as stored};
use crate::tokens::ticket::{Ticket, TicketKind};

/// Codes that may be presented with one ticket.
const MAX_TRIES: i16 = 5;

/// Completes a sign-in whose password was right.
///
/// The ticket is used up by the code that is right, or by `MAX_TRIES` that are not. One that the
/// reference wrote is used up by its first try, as there.
pub async fn sign_in_mfa_totp(
    app: &App,
    ticket: &str,
    code: &str,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let config = app.config.load_full();
    if !config.methods.mfa {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let ticket = match Ticket::parse(ticket) {
        Ok(ticket) if ticket.kind() == TicketKind::MfaTotp => ticket,
        _ => return Err(ErrorCode::InvalidTicket.into()),
    };
    let tried = try_ticket(app, &ticket).await?.ok_or(ErrorCode::InvalidTicket)?;
    let id = tried.user_id();
    let user = app.actors.sessions.user(id).await?.ok_or(ErrorCode::InvalidTicket)?;
    user.user.check_registered(&config.user_rules())?;

    let attempt = begin_attempt(app, id, client).await?;
    let mut transaction = app.pool.begin_for(id).await?;
    let row = stored::lock(&mut *transaction, id).await?.ok_or(ErrorCode::InvalidTicket)?;
    if !row.is_active {
        return Err(ErrorCode::DisabledMfaTotp.into());
    }
    match prove(app, &mut transaction, id, &row, code, attempt).await? {
        Proof::Right => {}
        Proof::Wrong { locks } => return Err(refuse_wrong_code(app, transaction, id, locks).await),
    }
    let basis = match tried {
        Tried::Ours(_) => {
            let (hash, purpose) = (ticket.hash(), ticket.kind().name());
            tickets::consume(&mut *transaction, &hash, purpose, app.clock.now())
                .await?
                .ok_or(ErrorCode::InvalidTicket)?;
            SessionBasis::Ticket
        }
        Tried::Reference(used_up) => SessionBasis::UsedUp(used_up.password_hash),
    };
    let started = start(app, &mut transaction, id, &basis).await?;
    transaction.commit().await?;
    started.issue(app).await
}

/// Whose ticket was tried.
enum Tried {
    /// To be used up with the code that is right.
    Ours(UserId),
    /// Used up.
    Reference(ReferenceTicket),
}

impl Tried {
    const fn user_id(&self) -> UserId {
        match self {
            Self::Ours(id) => *id,
            Self::Reference(used_up) => used_up.user_id,
        }
    }
}

async fn try_ticket(app: &App, ticket: &Ticket) -> Result<Option<Tried>, AuthError> {
    let now = app.clock.now();
    let (hash, purpose) = (ticket.hash(), ticket.kind().name());
    if let Some(id) = tickets::try_once(&app.pool, &hash, purpose, MAX_TRIES, now).await? {
        return Ok(Some(Tried::Ours(id)));
    }
    let reference = tickets::consume_reference_ticket(&app.pool, ticket.expose(), now).await?;
    Ok(reference.map(Tried::Reference))
}
