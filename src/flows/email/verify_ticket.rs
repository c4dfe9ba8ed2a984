//! `GET /verify`: what following a mailed link does.

use secrecy::SecretString;

use super::verified_address::prove_address;
use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::redirect::with_query;
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::endings::{Because, end};
use crate::flows::sessions::sign_in_result::{SignInResult, finish_sign_in};
use crate::persistence::{tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// What the browser of whoever follows a link brings.
#[derive(Debug, Default)]
pub struct LinkVisitor {
    /// What it keeps of a sign-up with a provider.
    pub browser: Option<SecretString>,
    /// In links of Nhost Auth; ours keep it with the ticket, where nobody can drop it.
    pub code_challenge: Option<CodeChallenge>,
}

/// Uses a ticket up, does what it stands for and signs its user in; returns where to go next.
///
/// Refusals are told to the target in its query, never to a target that is not allowed.
pub async fn verify_ticket(
    app: &App,
    ticket: &str,
    redirect_to: &str,
    visitor: &LinkVisitor,
) -> Result<String, AuthError> {
    let config = app.config.load_full();
    if url::Url::parse(redirect_to).is_err() {
        return Err(AuthError::InvalidRequest("redirectTo: not a URL".to_owned()));
    }
    let refusal_at = |target: &str, code: ErrorCode| {
        let row = code.concealed(config.server.conceal_errors).row();
        with_query(target, &[("error", row.code), ("errorDescription", row.message)])
    };
    if !config.accounts.redirects.is_allowed(redirect_to) {
        let client_url = config.accounts.redirects.client_url();
        if client_url.is_empty() {
            return Err(ErrorCode::RedirectToNotAllowed.into());
        }
        return Ok(refusal_at(client_url, ErrorCode::RedirectToNotAllowed));
    }
    match consume(app, ticket, visitor).await {
        Ok((kind, result)) => {
            let mut pairs = result.parameters();
            pairs.push(("type", kind.name()));
            Ok(with_query(redirect_to, &pairs))
        }
        Err(AuthError::Refused(code)) => Ok(refusal_at(redirect_to, code)),
        Err(error) => Err(error),
    }
}

/// One transaction: a refusal leaves the ticket as it was.
async fn consume(
    app: &App,
    text: &str,
    visitor: &LinkVisitor,
) -> Result<(TicketKind, SignInResult), AuthError> {
    let invalid = AuthError::Refused(ErrorCode::InvalidTicket);
    let ticket = match Ticket::parse(text) {
        Ok(ticket) if ticket.kind().is_link() => ticket,
        _ => return Err(invalid),
    };
    let kind = ticket.kind();
    let now = app.clock.now();
    let mut transaction = app.pool.begin().await?;
    let hash = ticket.hash();
    // The user first and then the ticket, as by everybody who changes a user and voids tickets.
    let found = tickets::find(&mut *transaction, &hash, kind.name(), ticket.expose(), now).await?;
    let Some(found) = found else { return Err(invalid) };
    users::lock(&mut *transaction, found).await?;
    let consumed = tickets::consume(&mut *transaction, &hash, kind.name(), now).await?;
    let (user_id, challenge) = if let Some(consumed) = consumed {
        (consumed.user_id, consumed.code_challenge)
    } else {
        let reference = tickets::consume_reference(&mut *transaction, ticket.expose(), now).await?;
        (reference.ok_or(invalid)?, None)
    };
    let challenge = challenge.and_then(|text| CodeChallenge::try_from(text).ok());
    let challenge = challenge.or_else(|| visitor.code_challenge.clone());
    let user = users::find_by_ids(&mut *transaction, &[user_id]).await?.pop();
    let user = user.ok_or(ErrorCode::InvalidTicket)?;

    let proves_address = matches!(kind, TicketKind::VerifyEmail | TicketKind::PasswordlessEmail);
    match user.check_registered(&app.config().user_rules()) {
        Ok(()) => {}
        Err(ErrorCode::UnverifiedUser) if proves_address => {}
        Err(refusal) => return Err(refusal.into()),
    }
    if proves_address && !user.email_verified {
        prove_address(app, &mut transaction, user_id, visitor.browser.as_ref()).await?;
    }
    if kind == TicketKind::EmailConfirmChange {
        match users::confirm_new_email(&mut *transaction, user_id).await {
            Ok(true) => end(app, &mut transaction, user_id, Because::AddressChanged).await?,
            Ok(false) => return Err(ErrorCode::InvalidTicket.into()),
            Err(error) if users::is_duplicate_email(&error) => {
                return Err(ErrorCode::EmailAlreadyInUse.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let (basis, challenge) = (&SessionBasis::Ticket, challenge.as_ref());
    let result = finish_sign_in(app, transaction, user_id, basis, challenge).await?;
    Ok((kind, result))
}
