//! `GET /verify`: what following a mailed link does.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::SecretString;
use sqlx::PgConnection;

use super::undo_email_change::{tell_old_address, undo_email_change};
use super::verified_address::{Proof, browser_hash, prove_address};
use crate::app::App;
use crate::config::ProofClears;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::redirect::with_query;
use crate::domain::session_basis::SessionBasis;
use crate::domain::user::User;
use crate::flows::guards::bearer::authenticate;
use crate::flows::guards::endings::{Because, end};
use crate::flows::sessions::session::{IssuedSession, sign_in_with_ticket};
use crate::flows::sessions::sign_in_result::{SignInResult, SignedInUser, finish_sign_in};
use crate::persistence::sign_ins::{PresentedTicket, TicketProves};
use crate::persistence::tickets::ConsumedTicket;
use crate::persistence::{constraints, refresh_tokens, tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// What the browser of whoever follows a link brings.
#[derive(Debug, Default)]
pub struct LinkVisitor {
    /// What it keeps of a sign-up with a provider, or of a change of address.
    pub browser: Option<SecretString>,
    /// Where an application follows the link itself.
    pub bearer: Option<String>,
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
    if let Ok(ticket) = Ticket::parse(ticket)
        && ticket.kind() == TicketKind::EmailChangeUndo
    {
        return match Box::pin(undo_email_change(app, &ticket)).await {
            Ok(()) => Ok(with_query(redirect_to, &[("type", ticket.kind().name())])),
            Err(AuthError::Refused(code)) => Ok(refusal_at(redirect_to, code)),
            Err(error) => Err(error),
        };
    }
    match consume(app, ticket, visitor).await {
        Ok((kind, result)) => {
            let mut pairs = result.as_ref().map(SignInResult::parameters).unwrap_or_default();
            pairs.push(("type", kind.name()));
            Ok(with_query(redirect_to, &pairs))
        }
        Err(AuthError::Refused(code)) => Ok(refusal_at(redirect_to, code)),
        Err(error) => Err(error),
    }
}

/// One transaction: a refusal leaves the ticket as it was. There is no sign-in where the link came
/// to somebody else than the one who asked for it.
async fn consume(
    app: &App,
    text: &str,
    visitor: &LinkVisitor,
) -> Result<(TicketKind, Option<SignInResult>), AuthError> {
    let invalid = AuthError::Refused(ErrorCode::InvalidTicket);
    let ticket = match Ticket::parse(text) {
        Ok(ticket) if ticket.kind().is_link() => ticket,
        _ => return Err(invalid),
    };
    let kind = ticket.kind();
    let now = app.clock.now();
    let hash = ticket.hash();
    let found = tickets::find(&app.pool, &hash, kind.name(), ticket.expose(), now).await?;
    let Some(found) = found else { return Err(invalid) };
    if visitor.code_challenge.is_none()
        && let Some(session) = sign_in_at_once(app, found, kind, &hash).await?
    {
        return Ok((kind, Some(SignInResult::Session(Box::new(session)))));
    }
    let mut transaction = app.pool.begin_for(found).await?;
    // The user first and then the ticket, as by everybody who changes a user and voids tickets.
    let before = users::lock(&mut *transaction, found).await?.ok_or(ErrorCode::InvalidTicket)?;
    let consumed = tickets::consume(&mut *transaction, &hash, kind.name(), now).await?;
    let consumed = if let Some(consumed) = consumed {
        consumed
    } else {
        let reference = tickets::consume_reference(&mut *transaction, ticket.expose(), now).await?;
        ConsumedTicket::of_reference(reference.ok_or(invalid)?)
    };
    let user_id = consumed.user_id;
    let challenge =
        consumed.code_challenge.clone().and_then(|text| CodeChallenge::try_from(text).ok());
    let challenge = challenge.or_else(|| visitor.code_challenge.clone());
    let user = users::find_by_ids(&mut *transaction, &[user_id]).await?.pop();
    let user = user.ok_or(ErrorCode::InvalidTicket)?;

    check(app, &user, kind)?;
    let mut signs_in = true;
    if kind == TicketKind::EmailConfirmChange {
        signs_in = is_who_asked(app, &mut transaction, &consumed, visitor).await?;
        confirm_change(app, &mut transaction, &user, consumed.email.as_deref()).await?;
    }
    let browser = visitor.browser.as_ref();
    let proof = if kind == TicketKind::VerifyEmail || consumed.by_registration {
        Proof::SignUpMail { browser }
    } else {
        Proof::OtherMail { browser }
    };
    prove_address(app, &mut transaction, user_id, &before, proof).await?;
    if !signs_in {
        transaction.commit().await?;
        app.actors.sessions.users().forget(user_id);
        return Ok((kind, None));
    }
    let (basis, challenge) = (&SessionBasis::Ticket, challenge.as_ref());
    let user = SignedInUser::Known(user_id);
    let result = finish_sign_in(app, transaction, user, basis, challenge).await?;
    Ok((kind, Some(result)))
}

/// In one statement, where the link does nothing but sign in and verify the address. Whoever is refused,
/// and whatever else a link does, goes the long way.
async fn sign_in_at_once(
    app: &App,
    user_id: UserId,
    kind: TicketKind,
    hash: &[u8; 32],
) -> Result<Option<IssuedSession>, AuthError> {
    if kind == TicketKind::EmailConfirmChange {
        return Ok(None);
    }
    let Some(user) = app.actors.sessions.user(user_id).await? else { return Ok(None) };
    if check(app, &user.user, kind).is_err() {
        return Ok(None);
    }
    let proves = match kind {
        TicketKind::VerifyEmail => TicketProves::Email,
        _ => TicketProves::EmailOfSignUp,
    };
    let ticket = PresentedTicket { hash, purpose: kind.name(), proves };
    Box::pin(sign_in_with_ticket(app, user_id, ticket)).await
}

/// Whether the user may follow a link of this kind.
fn check(app: &App, user: &User, kind: TicketKind) -> Result<(), ErrorCode> {
    match user.check_registered(&app.config().user_rules()) {
        Err(ErrorCode::UnverifiedUser)
            if matches!(kind, TicketKind::VerifyEmail | TicketKind::PasswordlessEmail) =>
        {
            Ok(())
        }
        state => state,
    }
}

/// `before` is the user as they were; `mailed_to` the address that the ticket went to.
async fn confirm_change(
    app: &App,
    db: &mut PgConnection,
    before: &User,
    mailed_to: Option<&str>,
) -> Result<(), AuthError> {
    match users::confirm_new_email(&mut *db, before.id, mailed_to).await {
        Ok(true) => {
            Box::pin(tell_old_address(app, &mut *db, before)).await?;
            end(app, db, before.id, Because::AddressChanged).await
        }
        Ok(false) => Err(ErrorCode::InvalidTicket.into()),
        Err(error) => Err(constraints::refusal(error)),
    }
}

/// Whether the link of a change of address was followed by who asked for the change.
///
/// Anybody can ask for the address of somebody else, who would be signed in to the account of a
/// stranger by following the link (docs/reference-behaviour.md#confirming-signs-in-who-asked). The
/// ticket ends with the session that asked for it.
async fn is_who_asked(
    app: &App,
    db: &mut PgConnection,
    ticket: &ConsumedTicket,
    visitor: &LinkVisitor,
) -> Result<bool, AuthError> {
    if let Some(session_id) = ticket.session_id {
        let advanced = app.clock.advanced();
        let session =
            refresh_tokens::lock_live(&mut *db, session_id, ticket.user_id, advanced).await?;
        session.ok_or(ErrorCode::InvalidTicket)?;
    }
    if app.config().accounts.proof_clears == ProofClears::Never {
        return Ok(true);
    }
    let browser = visitor.browser.as_ref().map(browser_hash);
    let is_same = browser
        .zip(ticket.browser_hash.as_ref())
        .is_some_and(|(browser, stored)| verify_slices_are_equal(&browser, stored).is_ok());
    if is_same {
        return Ok(true);
    }
    let Ok(caller) = authenticate(app, visitor.bearer.as_deref()) else { return Ok(false) };
    if caller.id() != ticket.user_id {
        return Ok(false);
    }
    match caller.lock(app, db).await {
        Ok(_) => Ok(true),
        Err(AuthError::Refused(_) | AuthError::InvalidRequest(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
