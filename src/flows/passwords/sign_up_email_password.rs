//! `POST /signup/email-password`.

use std::net::IpAddr;

use secrecy::SecretString;

use super::rules;
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::email::register;
use crate::flows::email::register::{Credential, NewAccount};
use crate::flows::sessions::session::IssuedSession;

/// Registers a user; a session comes at once only where the address need not be verified first.
pub async fn sign_up_email_password(
    app: &App,
    email: &EmailAddress,
    password: &SecretString,
    options: SignUpOptions,
    client: IpAddr,
) -> Result<Option<IssuedSession>, AuthError> {
    let config = app.config.load_full();
    let accounts = &config.accounts;
    if accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if !accounts.email_access.allows(email.as_str()) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    rules::check_new(app, password).await?;
    let options =
        options.resolve(&accounts.redirects, &accounts.roles, &accounts.locales, email.as_str())?;
    register::require_mail(app)?;
    let password_hash = rules::hash(app, password, client).await?;
    let registration = NewAccount {
        id: UserId::random(),
        email,
        options: &options,
        credential: Credential::Password(&password_hash),
    };
    register::register(app, registration).await
}
