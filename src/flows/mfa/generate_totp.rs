//! `GET /mfa/totp/generate`.

use secrecy::{ExposeSecret as _, SecretString};

use super::totp::authenticate_change;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::user::User;
use crate::flows::guards::bearer::registered;
use crate::flows::guards::live_session::Sensitive;
use crate::persistence::totp as stored;
use crate::totp::{Enrolment, generate_secret};

/// What the user's authenticator application is to keep.
pub struct NewSecret {
    pub secret: SecretString,
    /// A picture of it, as `data:` URL.
    pub picture: SecretString,
}

/// Stores a new secret, to be confirmed by a code of it.
///
/// Refused while the second factor is active: the old secret must first be given up by a code of
/// it, or a stolen access token would be enough to take the factor over
/// (docs/reference-behaviour.md#active-secret-stays).
pub async fn generate_totp(app: &App, bearer: Option<&str>) -> Result<NewSecret, AuthError> {
    let caller = authenticate_change(app, bearer, Sensitive::AddsFactor).await?;
    let config = app.config.load_full();
    if !config.methods.mfa {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let user = registered(app, caller.id()).await?;
    let secret = generate_secret();
    let enrolment = Enrolment::new(&config.methods.mfa_issuer, account(&user.user), &secret);
    let picture = enrolment
        .picture()
        .map_err(|error| AuthError::internal("picture of a TOTP secret not made", error))?;

    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let id = caller.lock(app, &mut transaction).await?.id();
    let row = stored::lock(&mut *transaction, id).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    if row.is_active {
        return Err(ErrorCode::TotpAlreadyActive.into());
    }
    let text = app.secrets.stored(id, &secret);
    stored::set_secret(&mut *transaction, id, text.expose_secret()).await?;
    stored::forget_steps(&mut *transaction, id).await?;
    transaction.commit().await?;
    Ok(NewSecret { secret, picture })
}

/// The name under which applications list the account.
fn account(user: &User) -> &str {
    match &user.email {
        Some(email) => email,
        None if user.display_name.is_empty() => user.phone_number.as_deref().unwrap_or("user"),
        None => &user.display_name,
    }
}
