//! `POST /signin/pat`.

use super::session::{IssuedSession, NewToken, sign_in};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::session_basis::SessionBasis;
use crate::persistence::{personal_access_tokens, sign_ins};
use crate::tokens::refresh_token::{RefreshToken, TokenHash};

/// Starts an ordinary session; the personal access token can be used again. It stands for both
/// factors (docs/reference-behaviour.md#second-factor-follows-passwords),
/// and with 122 random bits there is nothing to guess.
pub async fn sign_in_pat(app: &App, token: &RefreshToken) -> Result<IssuedSession, AuthError> {
    if let Some(session) = sign_in_at_once(app, token.hash()).await? {
        return Ok(session);
    }
    // Usually to be refused: here it is found out why.
    let now = app.clock.now();
    let pat = personal_access_tokens::find(&app.pool, token.hash(), now)
        .await?
        .ok_or(ErrorCode::InvalidPat)?;
    let user = app.actors.sessions.user(pat.user_id).await?.ok_or(ErrorCode::InvalidPat)?;
    user.user.check_registered(&app.config().user_rules())?;
    sign_in(app, pat.user_id, &SessionBasis::PersonalAccessToken(pat.session_id)).await
}

/// In one statement, which checks all but the lists of addresses.
async fn sign_in_at_once(app: &App, pat: TokenHash) -> Result<Option<IssuedSession>, AuthError> {
    let config = app.config.load_full();
    let rules = config.user_rules();
    if !rules.email_access.is_open() {
        return Ok(None);
    }
    let turn = app.pool.turn_of_token(pat).await?;
    let token = NewToken::generate(app, None);
    let (session, verified) = (token.session(app), rules.verification_required);
    let written = sign_ins::begin_with_pat(&app.pool, pat, session, verified).await?;
    drop(turn);
    match written.and_then(|written| token.started(written)) {
        Some(started) => started.issue(app).await.map(Some),
        None => Ok(None),
    }
}
