//! `POST /signup/webauthn` and `POST /signup/webauthn/verify`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ceremonies;
use super::ceremonies::{RegistrationResponse, Taken};
use crate::app::App;
use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::sign_up_options::{ResolvedOptions, SignUpOptions};
use crate::flows::email::register;
use crate::flows::email::register::{Credential, NewAccount};
use crate::flows::sessions::session::IssuedSession;
use crate::passkeys::options::CreationOptions;
use crate::passkeys::{PendingRegistration, RelyingParty};

/// What is kept of a sign-up until the key is there.
#[derive(Serialize, Deserialize)]
struct PendingSignUp {
    registration: PendingRegistration,
    user_id: UserId,
    email: String,
    options: SignUpOptions,
}

/// Begins a sign-up; whether the address is taken shows when it ends.
pub async fn begin(
    app: &App,
    email: &EmailAddress,
    options: SignUpOptions,
    client: IpAddr,
) -> Result<CreationOptions, AuthError> {
    let party = open(app)?;
    let resolved = resolve(app, options.clone(), email)?;
    if !app.config().accounts.email_access.allows(email.as_str()) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    register::require_mail(app)?;
    let user_id = UserId::random();
    let challenge = Challenge::random();
    let creation = party.begin_registration(challenge, user_id, &resolved.display_name, Vec::new());
    let registration =
        party.pending_registration(challenge).map_err(|error| ceremonies::broken(&error))?;
    let pending =
        PendingSignUp { registration, user_id, email: email.as_str().to_owned(), options };
    ceremonies::remember(app, challenge, client, &pending).await?;
    Ok(creation)
}

/// Registers the user with the key; `options` that are given now override those of the beginning.
pub async fn finish(
    app: &App,
    registration: &RegistrationResponse,
    options: SignUpOptions,
    nickname: &str,
) -> Result<Option<IssuedSession>, AuthError> {
    let party = open(app)?;
    let ceremony: Taken<PendingSignUp> =
        ceremonies::take(app, registration.challenge, Purpose::SignUp, None).await?;
    let pending = ceremony.data;
    let email = EmailAddress::parse(pending.email)
        .map_err(|error| AuthError::internal("stored address cannot be read", error))?;
    let options = resolve(app, pending.options.overridden_by(options), &email)?;
    let key =
        ceremonies::check_new_key(&party, registration, ceremony.challenge, &pending.registration)?;
    let registration = NewAccount {
        id: pending.user_id,
        email: &email,
        options: &options,
        credential: Credential::SecurityKey(&key, nickname),
    };
    register::register(app, registration).await
}

fn open(app: &App) -> Result<RelyingParty, AuthError> {
    let party = ceremonies::relying_party(app)?;
    if app.config().accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    Ok(party)
}

fn resolve(
    app: &App,
    options: SignUpOptions,
    email: &EmailAddress,
) -> Result<ResolvedOptions, AuthError> {
    let config = app.config();
    let accounts = &config.accounts;
    Ok(options.resolve(&accounts.redirects, &accounts.roles, &accounts.locales, email.as_str())?)
}
