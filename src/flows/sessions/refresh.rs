//! `POST /token`: trade a refresh token for the next one (the hot path; ARCHITECTURE.md follows
//! it).

use std::net::IpAddr;

use super::session::{IssuedSession, Occasion, issue};
use crate::actors::sessions::repeat_watch::Oddity;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::metrics::SecurityEvent;
use crate::persistence::refresh_tokens::{self, ChainMatch};
use crate::tokens::refresh_token::{RefreshToken, TokenHash};
use crate::tokens::rotation::Rotation;

/// How many rotations back a reused token is still recognised.
pub const CHAIN_STEPS: u32 = 64;

/// Rotates the session of `presented` and signs a new access token.
///
/// The user is checked before anything is written, so that a refusal leaves the token as it was.
pub async fn refresh(
    app: &App,
    presented: RefreshToken,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let hash = presented.hash();
    if let Some(session) = app.actors.sessions.find(hash).await?
        && let Some(user) = app.actors.sessions.user(session.user_id).await?
    {
        user.user.check_refresh(&app.config().user_rules())?;
        let next = app.rotation_key.next(&presented);
        let rotation = Rotation { presented: hash, next: next.hash(), session };
        if app.actors.sessions.rotate(rotation).await? {
            app.repeats.rotated(session.session_id, client);
            return issue(app, user, next, session.session_id, Occasion::Refresh).await;
        }
    }
    // In a box, for it is large and rare.
    Box::pin(refresh_with_old_token(app, &presented, client)).await
}

/// The token is not current: a repeated request, a late one, a thief's, or nonsense.
///
/// - One rotation old, inside the grace window: the client lost the response, or asked twice. It
///   gets the same next token again.
/// - Older, inside the window: refused, but the session lives, since its owner has just used it.
/// - Outside the window: somebody else used the session meanwhile, so it ends (RFC 9700, 4.14.2).
async fn refresh_with_old_token(
    app: &App,
    presented: &RefreshToken,
    client: IpAddr,
) -> Result<IssuedSession, AuthError> {
    let refused = AuthError::Refused(ErrorCode::InvalidRefreshToken);
    let next_tokens: Vec<TokenHash> = app
        .rotation_key
        .walk(presented, CHAIN_STEPS)
        .map(|(_generation, token)| token.hash())
        .collect();
    let advanced = app.clock.advanced();
    let Some(found) = refresh_tokens::find_in_chain(&app.pool, &next_tokens, advanced).await?
    else {
        return Err(refused);
    };
    let generations = next_tokens.iter().position(|hash| *hash == found.hash).map_or(0, |n| n + 1);
    let grace = app.config().tokens.refresh_grace;
    let in_grace = !grace.is_zero() && found.since_rotation <= grace;

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
                since_rotation_s = found.since_rotation.whole_seconds(),
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
    user.user.check_refresh(&app.config().user_rules())?;
    watch(app, &found, client);
    let next = app.rotation_key.next(presented);
    issue(app, user, next, found.session.session_id, Occasion::Refresh).await
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
