//! A user's own keys: list, rename, delete. Beyond the reference, which has no such operations.

use uuid::Uuid;

use crate::app::App;
use crate::config::MethodsConfig;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::notice::Notice;
use crate::domain::security_key::ListedKey;
use crate::flows::guards::bearer::{authenticate, authenticate_elevated, current_user, registered};
use crate::flows::guards::live_session::Sensitive;
use crate::flows::tickets::notices;
use crate::persistence::security_keys::{self, OtherWays};

/// The bearer's keys.
pub async fn list(app: &App, token: Option<&str>) -> Result<Vec<ListedKey>, AuthError> {
    require_enabled(app)?;
    let user = current_user(app, token).await?;
    Ok(security_keys::list(&app.pool, user.user.id).await?)
}

/// Gives a key of the bearer another name.
pub async fn rename(
    app: &App,
    token: Option<&str>,
    id: Uuid,
    nickname: &str,
) -> Result<(), AuthError> {
    require_enabled(app)?;
    let caller = authenticate(app, token)?;
    registered(app, caller.id()).await?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    if !security_keys::rename(&mut *transaction, caller.id(), id, nickname).await? {
        return Err(unknown_key());
    }
    transaction.commit().await?;
    Ok(())
}

/// Deletes a key of the bearer, unless nothing else is left to sign in with.
pub async fn delete(app: &App, token: Option<&str>, id: Uuid) -> Result<(), AuthError> {
    let caller = authenticate_elevated(app, token, Sensitive::Ordinary).await?;
    require_enabled(app)?;
    registered(app, caller.id()).await?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    let others = security_keys::lock_other_ways(&mut *transaction, caller.id())
        .await?
        .ok_or(ErrorCode::InvalidRequest)?;
    if !security_keys::delete(&mut *transaction, caller.id(), id).await? {
        return Err(unknown_key());
    }
    let left = security_keys::count(&mut *transaction, caller.id()).await?;
    if left == 0 && !can_sign_in(&others, &app.config().methods) {
        return Err(AuthError::InvalidRequest(
            "this is the last way to sign in: set a password or add another key first".to_owned(),
        ));
    }
    Box::pin(notices::promise(app, &mut transaction, caller.id(), Notice::SecurityKeyRemoved))
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Whether there is a way in without security keys, as this server is configured.
fn can_sign_in(ways: &OtherWays, methods: &MethodsConfig) -> bool {
    ways.has_password
        || ways.has_provider
        || (ways.has_email && (methods.email_passwordless || methods.otp_email))
        || (ways.has_phone && methods.sms_passwordless)
}

fn require_enabled(app: &App) -> Result<(), AuthError> {
    if app.config().webauthn.enabled { Ok(()) } else { Err(ErrorCode::DisabledEndpoint.into()) }
}

fn unknown_key() -> AuthError {
    AuthError::InvalidRequest("there is no such security key".to_owned())
}
