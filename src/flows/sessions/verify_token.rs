//! `POST /token/verify`: is this access token good?

use crate::app::App;
use crate::domain::auth_scheme::bearer_token;
use crate::domain::error::{AuthError, ErrorCode};
use crate::flows::guards::bearer::current_user;

/// Checks the token of the body, else the bearer's, whose user must then be welcome too.
pub async fn verify_token(
    app: &App,
    token: Option<&str>,
    bearer: Option<&str>,
) -> Result<(), AuthError> {
    let Some(token) = token else {
        // Without a usable bearer there is nothing to verify.
        let bearer = bearer.ok_or(ErrorCode::InvalidRequest)?;
        current_user(app, Some(bearer)).await?;
        return Ok(());
    };
    let token = bearer_token(token).unwrap_or(token);
    app.keys
        .load()
        .verify(token, app.clock.now())
        .map_err(|_refused| AuthError::Refused(ErrorCode::InvalidRequest))?;
    Ok(())
}
