//! Who is calling: access tokens presented as bearer.

use std::sync::Arc;

use crate::actors::cached_user::CachedUser;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;

/// The user id of a valid access token.
///
/// Everything that is wrong with it is 400 `invalid-request`, which clients of the reference
/// expect; the cause is for the log only.
pub fn authenticate(app: &App, token: Option<&str>) -> Result<UserId, AuthError> {
    let Some(token) = token else {
        return Err(AuthError::InvalidRequest(
            "Authorization: a bearer token is required".to_owned(),
        ));
    };
    let verified = app.keys.load().verify(token, app.clock.now()).map_err(|error| {
        tracing::debug!(error = &error as &dyn std::error::Error, "bearer token refused");
        AuthError::InvalidRequest("Authorization: the bearer token is not valid".to_owned())
    })?;
    verified.user_id.ok_or(AuthError::Refused(ErrorCode::InvalidRequest))
}

/// The caller, if registered and welcome (USER-BY-TOKEN of flows.md).
pub async fn current_user(app: &App, token: Option<&str>) -> Result<Arc<CachedUser>, AuthError> {
    let id = authenticate(app, token)?;
    let user = app.sessions.user(id).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    user.user.check_registered(&app.config().user_rules())?;
    Ok(user)
}
