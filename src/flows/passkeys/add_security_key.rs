//! `POST /user/webauthn/add` and `POST /user/webauthn/verify`.

use super::ceremonies;
use super::ceremonies::RegistrationResponse;
use crate::app::App;
use crate::domain::challenge::Purpose;
use crate::domain::error::AuthError;
use crate::domain::ids::SecurityKeyId;
use crate::domain::notice::Notice;
use crate::flows::guards::bearer::{authenticate_elevated, registered};
use crate::flows::guards::live_session::Sensitive;
use crate::flows::tickets::notices;
use crate::passkeys::options::CreationOptions;
use crate::persistence::{constraints, security_keys};

/// Begins to make another key for the bearer.
pub async fn begin(app: &App, token: Option<&str>) -> Result<CreationOptions, AuthError> {
    let caller = authenticate_elevated(app, token, Sensitive::AddsSecurityKey).await?;
    let party = ceremonies::relying_party(app)?;
    let user = registered(app, caller.id()).await?;
    caller.check(app).await?;
    ceremonies::ask_for_new_key(app, &party, caller.id(), &user.user.display_name).await
}

/// Stores the bearer's new key.
pub async fn finish(
    app: &App,
    token: Option<&str>,
    registration: &RegistrationResponse,
    nickname: Option<&str>,
) -> Result<SecurityKeyId, AuthError> {
    let caller = authenticate_elevated(app, token, Sensitive::AddsSecurityKey).await?;
    let party = ceremonies::relying_party(app)?;
    registered(app, caller.id()).await?;
    // Before the ceremony is used up.
    caller.check(app).await?;
    let purpose = Purpose::AddSecurityKey;
    let asked = ceremonies::use_up(app, registration.challenge, purpose, caller.id()).await?;
    let key = ceremonies::check_another_key(&party, registration, &asked)?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    asked.check_unended(&mut *transaction, caller.id()).await?;
    let now = app.clock.now();
    let id = security_keys::insert(&mut transaction, caller.id(), &key, nickname, now)
        .await
        .map_err(constraints::refusal)?;
    Box::pin(notices::promise(app, &mut transaction, caller.id(), Notice::SecurityKeyAdded))
        .await?;
    transaction.commit().await?;
    Ok(id)
}
