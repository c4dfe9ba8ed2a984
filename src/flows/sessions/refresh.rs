//! `POST /token`: trade a refresh token for the next one (the hot path; ARCHITECTURE.md follows
//! it).

use std::iter;
use std::net::IpAddr;

use super::session::{IssuedSession, Occasion, issue};
use crate::actors::sessions::repeat_watch::Oddity;
use crate::actors::sessions::rotator;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::metrics::SecurityEvent;
use crate::persistence::refresh_tokens::{self, ChainMatch};
use crate::tokens::refresh_token::{RefreshToken, TokenHash};
use crate::tokens::rotation::{Rotation, SessionRef};

/// How many rotations back a reused token is still recognised.
pub const CHAIN_STEPS: u32 = 64;

/// Rotates the session of `presented` and signs a new access token.
///
/// The user is checked before anything is written, or with it, so that a refusal leaves the token as
/// it was.
pub async fn refresh(
    app: &App,
    presented: RefreshToken,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let (hash, next) = (presented.hash(), app.rotation_key.next(&presented));
    let known = app.actors.sessions.known(hash);
    if let Some((_, user)) = &known
        && user.user.check_refresh(app.config().accounts.email_verification_required).is_err()
    {
        // Only whose session lives is told why: sessions that have ended are known here too.
        return Box::pin(refresh_with_untraded_token(app, &presented, client)).await;
    }
    let session = known.as_ref().map(|(session, _)| *session);
    let rotation = Rotation { presented: hash, next: next.hash(), session };
    if let Some((session, read)) = app.actors.sessions.rotate(rotation).await? {
        let mut user = read.or(known.map(|(_, user)| user));
        if user.is_none() {
            user = Box::pin(app.actors.sessions.user(session.user_id)).await?;
            if let Some(user) = &user {
                // As they are now: somebody may have disabled them since the row was written.
                user.user.check_refresh(app.config().accounts.email_verification_required)?;
            }
        }
        // Without a user both were deleted meanwhile.
        if let Some(user) = user {
            app.repeats.rotated(session.session_id, client);
            return issue(app, user, next, session.session_id, Occasion::Refresh).await;
        }
    }
    // In a box, for it is large and rare.
    Box::pin(refresh_with_untraded_token(app, &presented, client)).await
}

/// The token was not traded: its user may not refresh, or it is not current, since this is a repeated
/// request, a late one, a thief's, or nonsense.
///
/// - One rotation old, inside the grace window: the client lost the response, or asked twice. It
///   gets the same next token again.
/// - Older, inside the window: refused, but the session lives, since its owner has just used it.
/// - Outside the window: somebody else used the session meanwhile, so it ends (RFC 9700, 4.14.2).
async fn refresh_with_untraded_token(
    app: &App,
    presented: &RefreshToken,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let refused = AuthError::Refused(ErrorCode::InvalidRefreshToken);
    let later = app.rotation_key.walk(presented, CHAIN_STEPS);
    let tokens: Vec<TokenHash> =
        iter::once(presented.hash()).chain(later.map(|(_, token)| token.hash())).collect();
    let advanced = app.clock.advanced();
    let found = refresh_tokens::find_in_chain(&app.pool, &tokens, advanced).await?;
    let Some(found) = found else { return Err(refused) };
    if found.hash == tokens[0] {
        return Err(refusal_of_current(app, found.session).await?);
    }
    let Some(since_rotation) = found.since_rotation else { return Err(refused) };
    let generations = tokens.iter().position(|hash| *hash == found.hash).unwrap_or_default();
    let grace = app.config().tokens.refresh_grace;
    let in_grace = !grace.is_zero() && since_rotation <= grace;

    if !in_grace {
        let ended = refresh_tokens::delete_by_id(&app.pool, found.session.session_id).await;
        // If the response was lost, nobody else may be there to report it.
        if !matches!(ended, Ok(false)) {
            let security_event = app.security.note(SecurityEvent::RefreshTokenReuse);
            tracing::warn!(
                security_event,
                session.id = %found.session.session_id,
                session.ended = if ended.is_ok() { "yes" } else { "unknown" },
                user.id = %found.session.user_id,
                generations,
                since_rotation_s = since_rotation.whole_seconds(),
                "a used refresh token came back, its session is ended"
            );
        }
        ended?;
        return Err(refused);
    }
    if generations > 1 {
        return Err(refused);
    }
    let Some(user) = app.actors.sessions.user(found.session.user_id).await? else {
        return Err(refused);
    };
    user.user.check_refresh(app.config().accounts.email_verification_required)?;
    watch(app, &found, client);
    let next = app.rotation_key.next(presented);
    issue(app, user, next, found.session.session_id, Occasion::Refresh).await
}

/// Why a current token was not traded.
async fn refusal_of_current(app: &App, session: SessionRef) -> Result<AuthError, AuthError> {
    let Some(user) = app.actors.sessions.user(session.user_id).await? else {
        return Ok(AuthError::Refused(ErrorCode::InvalidRefreshToken));
    };
    let verification_required = app.config().accounts.email_verification_required;
    let refusal = user.user.check_refresh(verification_required).err();
    // They may again, or somebody held the row: the next request succeeds.
    Ok(refusal.map_or_else(|| AuthError::Storage(rotator::held()), AuthError::Refused))
}

/// Reports a repeat that looks like somebody who follows the owner of the session.
fn watch(app: &App, found: &ChainMatch, client: IpAddr) {
    let session_id = found.session.session_id;
    let Some(oddity) = app.repeats.repeated(session_id, found.hash, client) else { return };
    let security_event = app.security.note(SecurityEvent::RefreshTokenFollowed);
    let (reason, repeats) = match oddity {
        Oddity::TwoNetworks => ("another network", 1),
        Oddity::Often { repeats } => ("repeated often", repeats),
    };
    tracing::warn!(
        security_event,
        session.id = %session_id,
        user.id = %found.session.user_id,
        reason,
        repeats,
        "a refresh was repeated as if somebody followed its client"
    );
}
