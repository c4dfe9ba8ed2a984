//! `POST /signout`: end one session or all of them.

use super::bearer::authenticate;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::persistence::refresh_tokens;
use crate::tokens::refresh_token::{RefreshToken, TokenHash};

/// Ends every session of the bearer's user, personal access tokens included.
pub async fn sign_out_everywhere(app: &App, bearer: Option<&str>) -> Result<(), AuthError> {
    let user_id = authenticate(app, bearer)
        .map_err(|_refused| AuthError::Refused(ErrorCode::InvalidRequest))?;
    refresh_tokens::delete_by_user(&app.pool, user_id).await?;
    Ok(())
}

/// Ends the session of a refresh token; an unknown one is as good as ended.
///
/// A client may not know that its token was just traded (it lost the answer, or another tab
/// refreshed), so the sessions of its direct successors inside the grace window end too.
pub async fn sign_out(app: &App, token: &str) -> Result<(), AuthError> {
    let Ok(token) = RefreshToken::parse(token) else {
        return Ok(());
    };
    if refresh_tokens::delete_by_hash(&app.pool, token.hash()).await? {
        return Ok(());
    }
    let next: TokenHash = app.rotation_key.next(&token).hash();
    let now = app.clock.now();
    if let Some(found) = refresh_tokens::find_in_chain(&app.pool, &[next], now).await?
        && now - found.rotated_at <= app.config().tokens.refresh_grace
    {
        refresh_tokens::delete_by_id(&app.pool, found.session.session_id).await?;
    }
    Ok(())
}
