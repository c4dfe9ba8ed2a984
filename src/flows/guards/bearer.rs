//! Who is calling: access tokens presented as bearer.

use std::sync::Arc;

use super::live_session::{Caller, Sensitive, not_valid};
use crate::actors::sessions::cached_user::CachedUser;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;

/// Whom a valid access token speaks for.
///
/// Everything that is wrong with it is 400 `invalid-request`, which clients of the reference
/// expect (docs/reference-behaviour.md#bad-bearers-are-bad-requests); the cause is for the log
/// only. Operations that write ask [`Caller::lock`] too.
pub fn authenticate(app: &App, token: Option<&str>) -> Result<Caller, AuthError> {
    let Some(token) = token else {
        return Err(AuthError::InvalidRequest(
            "Authorization: a bearer token is required".to_owned(),
        ));
    };
    let verified = app.keys.load().verify(token, app.clock.now()).map_err(|error| {
        tracing::debug!(error = &error as &dyn std::error::Error, "bearer token refused");
        not_valid()
    })?;
    let id = verified.user_id.ok_or(AuthError::Refused(ErrorCode::InvalidRequest))?;
    Ok(Caller::new(id, &verified))
}

/// [`authenticate`] for sensitive operations, which `AUTH_REQUIRE_ELEVATED_CLAIM` protects further.
pub async fn authenticate_elevated(
    app: &App,
    token: Option<&str>,
    operation: Sensitive,
) -> Result<Caller, AuthError> {
    authenticate(app, token)?.elevated_for(app, operation).await
}

/// The caller, if registered and welcome.
pub async fn current_user(app: &App, token: Option<&str>) -> Result<Arc<CachedUser>, AuthError> {
    registered(app, authenticate(app, token)?.id()).await
}

/// The user, if registered and welcome; for operations that check more in between.
pub async fn registered(app: &App, id: UserId) -> Result<Arc<CachedUser>, AuthError> {
    let user = app.actors.sessions.user(id).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    user.user.check_registered(&app.config().user_rules())?;
    Ok(user)
}
