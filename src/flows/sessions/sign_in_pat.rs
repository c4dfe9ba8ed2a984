//! `POST /signin/pat`.

use super::session::{IssuedSession, sign_in};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::session_basis::SessionBasis;
use crate::persistence::personal_access_tokens;
use crate::tokens::refresh_token::RefreshToken;

/// Starts an ordinary session; the personal access token can be used again. It stands for both
/// factors (docs/reference-behaviour.md#second-factor-follows-passwords),
/// and with 122 random bits there is nothing to guess.
pub async fn sign_in_pat(app: &App, token: &RefreshToken) -> Result<IssuedSession, AuthError> {
    let now = app.clock.now();
    let pat = personal_access_tokens::find(&app.pool, token.hash(), now)
        .await?
        .ok_or(ErrorCode::InvalidPat)?;
    let user = app.actors.sessions.user(pat.user_id).await?.ok_or(ErrorCode::InvalidPat)?;
    user.user.check_registered(&app.config().user_rules())?;
    sign_in(app, pat.user_id, &SessionBasis::PersonalAccessToken(pat.session_id)).await
}
