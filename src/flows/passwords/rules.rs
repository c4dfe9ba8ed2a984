//! Rules of new passwords, and the way to the hasher.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};

use crate::actors::passwords::password_hasher::PasswordHasherMsg;
use crate::app::App;
use crate::clients::hibp;
use crate::domain::error::{AuthError, ErrorCode};
use crate::passwords::VerifyOutcome;

/// Whether a password may be chosen: its length, then whether it is known from leaks. While that
/// cannot be found out no password is accepted
/// (docs/reference-behaviour.md#leak-check-fails-closed).
pub async fn check_new(app: &App, password: &SecretString) -> Result<(), AuthError> {
    let config = app.config.load_full();
    if password.expose_secret().len() < config.passwords.min_length {
        return Err(ErrorCode::PasswordTooShort.into());
    }
    if !config.protection.hibp_enabled {
        return Ok(());
    }
    match hibp::is_known(&app.http_client, &config.protection.hibp, password).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(ErrorCode::PasswordInHibpDatabase.into()),
        Err(error) => Err(AuthError::internal("Have I Been Pwned did not respond", error)),
    }
}

/// Hashes a new password, which this client sent, in the form that this database takes.
pub async fn hash(app: &App, password: &SecretString, client: IpAddr) -> Result<String, AuthError> {
    app.actors
        .passwords
        .call_beyond_bound(|reply| PasswordHasherMsg::Hash {
            client: client.into(),
            password: password.clone(),
            reply,
        })
        .await?
}

/// Compares a password with a stored hash; an absent one costs the same and never matches.
pub async fn verify(
    app: &App,
    password: &SecretString,
    stored: Option<&SecretString>,
    client: IpAddr,
) -> Result<VerifyOutcome, AuthError> {
    app.actors
        .passwords
        .call_beyond_bound(|reply| PasswordHasherMsg::Verify {
            client: client.into(),
            password: password.clone(),
            stored: stored.cloned(),
            reply,
        })
        .await?
}
