//! Who is calling: access tokens presented as bearer.

use std::sync::Arc;

use crate::actors::sessions::cached_user::CachedUser;
use crate::app::App;
use crate::config::Elevation;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{SessionId, UserId};
use crate::persistence::security_keys;
use crate::tokens::verify::VerifiedToken;

/// The user id of a valid access token.
///
/// Everything that is wrong with it is 400 `invalid-request`, which clients of the reference
/// expect (docs/reference-behaviour.md#bad-bearers-are-bad-requests); the cause is for the log
/// only.
pub fn authenticate(app: &App, token: Option<&str>) -> Result<UserId, AuthError> {
    Ok(verified(app, token)?.0)
}

/// [`authenticate`] for sensitive operations, which `AUTH_REQUIRE_ELEVATED_CLAIM` protects further.
pub async fn authenticate_elevated(
    app: &App,
    token: Option<&str>,
    operation: Sensitive,
) -> Result<Caller, AuthError> {
    let (id, token) = verified(app, token)?;
    let elevation = app.config().methods.elevation;
    let allowed = match elevation {
        _ if token.is_elevated => true,
        Elevation::Disabled => true,
        Elevation::Required if operation == Sensitive::Ordinary => false,
        Elevation::Required | Elevation::Recommended => {
            security_keys::count(&app.pool, id).await? == 0
        }
    };
    if allowed {
        Ok(Caller { id, session_id: token.session_id })
    } else {
        Err(ErrorCode::ElevatedClaimRequired.into())
    }
}

/// Whom an access token speaks for.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub id: UserId,
    /// The session that the token belongs to; unknown for tokens that the reference issued.
    pub session_id: Option<SessionId>,
}

/// How far elevation goes for an operation that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitive {
    /// Always, where it is required.
    Ordinary,
    /// Not for the first security key: without one nobody could ever become elevated.
    AddsSecurityKey,
    /// Not for those without a security key, who must be able to begin with another factor.
    AddsFactor,
}

fn verified(app: &App, token: Option<&str>) -> Result<(UserId, VerifiedToken), AuthError> {
    let Some(token) = token else {
        return Err(AuthError::InvalidRequest(
            "Authorization: a bearer token is required".to_owned(),
        ));
    };
    let verified = app.keys.load().verify(token, app.clock.now()).map_err(|error| {
        tracing::debug!(error = &error as &dyn std::error::Error, "bearer token refused");
        AuthError::InvalidRequest("Authorization: the bearer token is not valid".to_owned())
    })?;
    let id = verified.user_id.ok_or(AuthError::Refused(ErrorCode::InvalidRequest))?;
    Ok((id, verified))
}

/// The caller, if registered and welcome.
pub async fn current_user(app: &App, token: Option<&str>) -> Result<Arc<CachedUser>, AuthError> {
    registered(app, authenticate(app, token)?).await
}

/// [`current_user`] for sensitive operations.
pub async fn elevated_user(
    app: &App,
    token: Option<&str>,
    operation: Sensitive,
) -> Result<Arc<CachedUser>, AuthError> {
    registered(app, authenticate_elevated(app, token, operation).await?.id).await
}

/// The user, if registered and welcome; for operations that check more in between.
pub async fn registered(app: &App, id: UserId) -> Result<Arc<CachedUser>, AuthError> {
    let user = app.actors.sessions.user(id).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    user.user.check_registered(&app.config().user_rules())?;
    Ok(user)
}
