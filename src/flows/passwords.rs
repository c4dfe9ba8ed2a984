//! Rules of new passwords, and the way to the hasher.

use secrecy::{ExposeSecret as _, SecretString};

use crate::actors::password_hasher::PasswordHasherMsg;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::passwords::VerifyOutcome;

/// Whether a password may be chosen (PASSWORD of flows.md).
#[expect(clippy::unused_async, reason = "leaked passwords are looked up elsewhere")]
pub async fn check_new(app: &App, password: &SecretString) -> Result<(), AuthError> {
    if password.expose_secret().len() < app.config().passwords.min_length {
        return Err(ErrorCode::PasswordTooShort.into());
    }
    Ok(())
}

/// Hashes a new password in the form that this database takes.
pub async fn hash(app: &App, password: &SecretString) -> Result<String, AuthError> {
    app.passwords.call(|reply| PasswordHasherMsg::Hash(password.clone(), reply)).await?
}

/// Compares a password with a stored hash; an absent one costs the same and never matches.
pub async fn verify(
    app: &App,
    password: &SecretString,
    stored: Option<&SecretString>,
) -> Result<VerifyOutcome, AuthError> {
    app.passwords
        .call(|reply| PasswordHasherMsg::Verify {
            password: password.clone(),
            stored: stored.cloned(),
            reply,
        })
        .await?
}
