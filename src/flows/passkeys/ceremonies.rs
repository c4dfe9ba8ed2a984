//! What the WebAuthn operations share: ceremonies that begin, and are used up before they are
//! verified.

use serde::Serialize;
use serde::de::DeserializeOwned;
use webauthn_rs_core::proto::{AuthenticatorAssertionResponseRaw, RegisterPublicKeyCredential};

use crate::app::App;
use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::security_key::NewSecurityKey;
use crate::metrics::SecurityEvent;
use crate::passkeys::options::{CreationOptions, RequestOptions};
use crate::passkeys::user_handle;
use crate::passkeys::{CeremonyError, PendingRegistration, RelyingParty};
use crate::persistence::challenges::NewChallenge;
use crate::persistence::security_keys::{self, StoredKey};

/// A new key as a browser presents it.
#[derive(Debug)]
pub struct RegistrationResponse {
    /// The challenge in the client data; `None` if there is none that could be ours.
    pub challenge: Option<Challenge>,
    pub response: RegisterPublicKeyCredential,
    pub transports: Vec<String>,
}

/// An assertion by a key as a browser presents it.
#[derive(Debug)]
pub struct Assertion {
    /// The challenge in the client data; `None` if there is none that could be ours.
    pub challenge: Option<Challenge>,
    pub response: AuthenticatorAssertionResponseRaw,
    /// The credential id as stored: base64url without padding.
    pub credential_id: String,
}

/// A ceremony that has been used up.
#[derive(Debug)]
pub struct Taken<T> {
    pub challenge: Challenge,
    /// What was stored to finish it.
    pub data: T,
    /// Whom it began for, if that was known.
    pub user_id: Option<UserId>,
}

/// The relying party, unless passkeys are off.
pub fn relying_party(app: &App) -> Result<RelyingParty, AuthError> {
    let config = app.config();
    if !config.webauthn.enabled {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    Ok(RelyingParty::new(&config.webauthn))
}

/// Stores what finishing a ceremony needs.
pub async fn remember(
    app: &App,
    challenge: Challenge,
    purpose: Purpose,
    user_id: Option<UserId>,
    data: &(impl Serialize + Sync),
) -> Result<(), AuthError> {
    let created_at = app.clock.now();
    let data = serde_json::to_string(data)
        .map_err(|error| AuthError::internal("ceremony not serialised", error))?;
    let expires_at = created_at + app.config().webauthn.timeout;
    let new = NewChallenge { challenge, purpose, user_id, data, created_at, expires_at };
    app.actors.challenges.put(new).await
}

/// Uses the ceremony up, whatever the response is worth.
pub async fn take<T: DeserializeOwned>(
    app: &App,
    challenge: Option<Challenge>,
    purpose: Purpose,
    user_id: Option<UserId>,
) -> Result<Taken<T>, AuthError> {
    let challenge = challenge.ok_or(ErrorCode::InvalidRequest)?;
    let taken = app
        .actors
        .challenges
        .take(challenge, purpose, user_id)
        .await?
        .ok_or(ErrorCode::InvalidRequest)?;
    let data = serde_json::from_str(&taken.data)
        .map_err(|error| AuthError::internal("stored ceremony cannot be read", error))?;
    Ok(Taken { challenge, data, user_id: taken.user_id })
}

/// Begins a ceremony that asks for one of a user's keys.
pub async fn ask_for_key(
    app: &App,
    party: &RelyingParty,
    purpose: Purpose,
    user_id: UserId,
) -> Result<RequestOptions, AuthError> {
    let keys = usable(security_keys::credential_ids(&app.pool, user_id).await?);
    if keys.is_empty() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let (challenge, options) = party.begin_assertion(keys);
    remember(app, challenge, purpose, Some(user_id), &()).await?;
    Ok(options)
}

/// Begins a ceremony that makes a key for a known user.
pub async fn ask_for_new_key(
    app: &App,
    party: &RelyingParty,
    user_id: UserId,
    name: &str,
) -> Result<CreationOptions, AuthError> {
    let keys = usable(security_keys::credential_ids(&app.pool, user_id).await?);
    let (challenge, options, pending) =
        party.begin_registration(user_id, name, keys).map_err(|e| broken(&e))?;
    remember(app, challenge, Purpose::AddSecurityKey, Some(user_id), &pending).await?;
    Ok(options)
}

/// Ids that browsers can read. Another one, which nothing here writes, must not lock its user out.
fn usable(ids: Vec<String>) -> Vec<String> {
    let mut ids = ids;
    ids.retain(|id| {
        let usable = !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !usable {
            tracing::warn!("a stored credential id is not base64url without padding, left out");
        }
        usable
    });
    ids
}

/// Checks a new key.
pub fn check_new_key(
    party: &RelyingParty,
    registration: &RegistrationResponse,
    challenge: Challenge,
    pending: &PendingRegistration,
) -> Result<NewSecurityKey, AuthError> {
    let transports = registration.transports.clone();
    party
        .finish_registration(&registration.response, transports, challenge, pending)
        .map_err(|error| refused(&error))
}

/// Checks an assertion; the key's use is recorded before this returns (WebAuthn 7.2).
///
/// `expected` is the user whom the ceremony began for. Without one the authenticator has to name the
/// user by the handle that it keeps.
pub async fn check_assertion(
    app: &App,
    party: &RelyingParty,
    assertion: &Assertion,
    challenge: Challenge,
    expected: Option<UserId>,
) -> Result<StoredKey, AuthError> {
    let key = security_keys::find_by_credential_id(&app.pool, &assertion.credential_id)
        .await?
        .ok_or(ErrorCode::InvalidRequest)?;
    let handle = assertion.response.user_handle.as_deref();
    let is_theirs = match (expected, handle) {
        (Some(expected), None) => expected == key.user_id,
        (Some(expected), Some(handle)) => {
            expected == key.user_id && user_handle::stands_for(handle, key.user_id)
        }
        (None, Some(handle)) => user_handle::stands_for(handle, key.user_id),
        (None, None) => false,
    };
    if !is_theirs {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let public_key = key.public_key.as_deref().unwrap_or_default();
    let key_use = party
        .finish_assertion(&assertion.response, challenge, public_key)
        .map_err(|error| refused(&error))?;
    let now = app.clock.now();
    if !security_keys::record_use(&app.pool, key.id, key_use, now).await? {
        let security_event = app.security.note(SecurityEvent::SecurityKeyCounterRegress);
        tracing::warn!(
            security_event,
            user.id = %key.user_id,
            security_key.id = %key.id,
            stored = key.sign_count,
            presented = key_use.sign_count,
            "the counter of a security key went backwards, it may have been copied"
        );
        return Err(ErrorCode::InvalidRequest.into());
    }
    Ok(key)
}

/// The client learns nothing of what was wrong.
fn refused(error: &CeremonyError) -> AuthError {
    tracing::debug!(error = error as &dyn std::error::Error, "passkey ceremony refused");
    ErrorCode::InvalidRequest.into()
}

/// A ceremony that could not even begin.
pub(super) fn broken(error: &CeremonyError) -> AuthError {
    AuthError::internal("passkey ceremony not begun", error.to_string())
}
