//! `POST /signout`: end one session or all of them.

use super::refresh::CHAIN_STEPS;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::flows::guards::bearer::authenticate;
use crate::flows::guards::endings::{Because, end};
use crate::persistence::refresh_tokens;
use crate::tokens::refresh_token::{RefreshToken, TokenHash};

/// Ends every session of the bearer's user, personal access tokens included
/// (docs/reference-behaviour.md#sign-out-ends-pats).
pub async fn sign_out_everywhere(app: &App, bearer: Option<&str>) -> Result<(), AuthError> {
    let refused = |error| match error {
        AuthError::InvalidRequest(_) => AuthError::Refused(ErrorCode::InvalidRequest),
        other => other,
    };
    let caller = authenticate(app, bearer).map_err(refused)?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let caller = caller.lock_to_end(app, &mut transaction).await.map_err(refused)?;
    end(app, &mut transaction, caller.id(), Because::SignedOutEverywhere).await?;
    transaction.commit().await?;
    Ok(())
}

/// Ends the session of a refresh token; an unknown one is as good as ended.
///
/// A client may not know that its token was traded meanwhile (it lost responses, or another tab
/// refreshed), so an old token of the session ends it too, whatever its age: who holds one is the
/// owner, or a thief of whom the session must be freed anyway.
///
/// More than [`CHAIN_STEPS`] rotations back nothing leads from a token to its session. If an access
/// token comes along, it names the session that is meant
/// (docs/reference-behaviour.md#sign-out-is-lenient).
pub async fn sign_out(app: &App, token: &str, bearer: Option<&str>) -> Result<(), AuthError> {
    if end_session_of(app, token).await? {
        return Ok(());
    }
    // One that is not valid changes nothing.
    let caller = bearer.and_then(|bearer| authenticate(app, Some(bearer)).ok());
    if let Some(session_id) = caller.and_then(|caller| caller.session_id()) {
        refresh_tokens::delete_by_id(&app.pool, session_id).await?;
    }
    Ok(())
}

/// Whether the token led to a session.
async fn end_session_of(app: &App, token: &str) -> Result<bool, AuthError> {
    let Ok(token) = RefreshToken::parse(token) else {
        return Ok(false);
    };
    if refresh_tokens::delete_by_hash(&app.pool, token.hash()).await? {
        return Ok(true);
    }
    let next_tokens: Vec<TokenHash> =
        app.rotation_key.walk(&token, CHAIN_STEPS).map(|(_, token)| token.hash()).collect();
    let advanced = app.clock.advanced();
    let found = refresh_tokens::find_in_chain(&app.pool, &next_tokens, advanced).await?;
    let Some(found) = found.filter(|found| found.since_rotation.is_some()) else {
        return Ok(false);
    };
    refresh_tokens::delete_by_id(&app.pool, found.session.session_id).await?;
    Ok(true)
}
