//! What the WebAuthn operations share: ceremonies that begin, and are used up before they are
//! verified.
//!
//! All but sign-ups begin with a signed challenge, of which nothing is stored until it is used
//! (`passkeys/signed_challenge.rs`). Nodes of the version before this one store theirs; those are
//! looked for where the signature is not ours.

use std::net::IpAddr;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sqlx::PgExecutor;
use time::OffsetDateTime;
use webauthn_rs_core::proto::{AuthenticatorAssertionResponseRaw, RegisterPublicKeyCredential};

use crate::app::App;
use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::security_key::NewSecurityKey;
use crate::flows::guards::network_key::network_key;
use crate::metrics::SecurityEvent;
use crate::passkeys::options::{CreationOptions, RequestOptions};
use crate::passkeys::signed_challenge::{self, Holder};
use crate::passkeys::user_handle;
use crate::passkeys::{CeremonyError, PendingRegistration, RelyingParty};
use crate::persistence::challenges::NewChallenge;
use crate::persistence::credentials;
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

/// A stored ceremony that has been used up.
#[derive(Debug)]
pub struct Taken<T> {
    pub challenge: Challenge,
    /// What was stored to finish it.
    pub data: T,
    /// Whom it began for, if that was known.
    user_id: Option<UserId>,
}

/// A ceremony that asked for a key and has been used up.
#[derive(Debug)]
pub struct Asked {
    challenge: Challenge,
    /// Whom it began for, if that was known.
    expected: Option<UserId>,
    /// It is good for nothing once its user's credentials have changed after this.
    unchanged_since: OffsetDateTime,
}

impl Asked {
    /// Refuses it if it has ended since it was used up. With the user's row locked, which endings lock
    /// first, that holds until the transaction ends.
    pub async fn check_unended(
        &self,
        db: impl PgExecutor<'_>,
        user_id: UserId,
    ) -> Result<(), AuthError> {
        match credentials::changed_at(db, user_id).await? {
            Some(changed_at) if changed_at > self.unchanged_since => {
                Err(ErrorCode::InvalidRequest.into())
            }
            _ => Ok(()),
        }
    }
}

/// The relying party, unless passkeys are off.
pub fn relying_party(app: &App) -> Result<RelyingParty, AuthError> {
    let config = app.config();
    if !config.webauthn.enabled {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    Ok(RelyingParty::new(&config.webauthn))
}

/// Stores what finishing a sign-up needs, which is more than a challenge can hold.
pub async fn remember(
    app: &App,
    challenge: Challenge,
    client: IpAddr,
    data: &(impl Serialize + Sync),
) -> Result<(), AuthError> {
    let created_at = app.clock.now();
    let data = serde_json::to_string(data)
        .map_err(|error| AuthError::internal("ceremony not serialised", error))?;
    let expires_at = created_at + app.config().webauthn.timeout;
    let new = NewChallenge {
        challenge,
        purpose: Purpose::SignUp,
        user_id: None,
        network: Some(network_key(app, client)),
        data,
        created_at,
        expires_at,
    };
    app.actors.challenges.put(new).await
}

/// A challenge for whatever key the authenticator finds.
pub fn challenge_for_anybody(app: &App, purpose: Purpose) -> Challenge {
    let (now, lifetime) = (app.clock.now(), app.config().webauthn.timeout);
    signed_challenge::sign(&app.secrets.sealer, purpose, Holder::Anybody, now, lifetime)
}

/// A challenge for one of this user's keys, or for a key of nobody's.
pub(super) async fn challenge_for(
    app: &App,
    purpose: Purpose,
    user_id: UserId,
) -> Result<Challenge, AuthError> {
    let changed_at = credentials::changed_at(&app.pool, user_id).await?;
    let holder = Holder::User { id: user_id, changed_at };
    let (now, lifetime) = (app.clock.now(), app.config().webauthn.timeout);
    Ok(signed_challenge::sign(&app.secrets.sealer, purpose, holder, now, lifetime))
}

/// Uses up a ceremony of this user, whatever the response is worth.
pub async fn use_up(
    app: &App,
    challenge: Option<Challenge>,
    purpose: Purpose,
    user_id: UserId,
) -> Result<Asked, AuthError> {
    let challenge = challenge.ok_or(ErrorCode::InvalidRequest)?;
    let changed_at = credentials::changed_at(&app.pool, user_id).await?;
    let unchanged_since = changed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    if use_up_of_user(app, challenge, purpose, user_id, changed_at).await? {
        return Ok(Asked { challenge, expected: Some(user_id), unchanged_since });
    }
    let taken: Taken<IgnoredAny> = take(app, Some(challenge), purpose, Some(user_id)).await?;
    Ok(Asked { challenge, expected: taken.user_id, unchanged_since })
}

/// Uses up a sign-in with this key, which began for its owner or for anybody.
pub async fn use_up_sign_in(
    app: &App,
    challenge: Option<Challenge>,
    key: &StoredKey,
) -> Result<Asked, AuthError> {
    let (challenge, purpose) = (challenge.ok_or(ErrorCode::InvalidRequest)?, Purpose::SignIn);
    let changed_at = credentials::changed_at(&app.pool, key.user_id).await?;
    let unchanged_since = changed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    if use_up_of_user(app, challenge, purpose, key.user_id, changed_at).await? {
        return Ok(Asked { challenge, expected: Some(key.user_id), unchanged_since });
    }
    let (sealer, now) = (&app.secrets.sealer, app.clock.now());
    let opened = signed_challenge::open(sealer, challenge, purpose, Holder::Anybody, now);
    if let Some(signed) = opened {
        let (expires_at, since) = (signed.expires_at, signed.begun_at);
        let used = app.actors.challenges.use_up(challenge, expires_at, key.user_id, since).await?;
        return if used {
            Ok(Asked { challenge, expected: None, unchanged_since: since })
        } else {
            Err(ErrorCode::InvalidRequest.into())
        };
    }
    let taken: Taken<IgnoredAny> = take(app, Some(challenge), purpose, None).await?;
    Ok(Asked { challenge, expected: taken.user_id, unchanged_since })
}

/// `false` if it is not a signed challenge of this user; refused if it was used or ended before.
async fn use_up_of_user(
    app: &App,
    challenge: Challenge,
    purpose: Purpose,
    user_id: UserId,
    changed_at: Option<OffsetDateTime>,
) -> Result<bool, AuthError> {
    let holder = Holder::User { id: user_id, changed_at };
    let (sealer, now) = (&app.secrets.sealer, app.clock.now());
    let Some(signed) = signed_challenge::open(sealer, challenge, purpose, holder, now) else {
        return Ok(false);
    };
    // The signature tells that nothing had ended up to the look at it, and the statement that nothing
    // has since. Clocks play no part.
    let since = changed_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    if app.actors.challenges.use_up(challenge, signed.expires_at, user_id, since).await? {
        Ok(true)
    } else {
        Err(ErrorCode::InvalidRequest.into())
    }
}

/// Uses up a stored ceremony, whatever the response is worth.
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
    Ok(party.begin_assertion(challenge_for(app, purpose, user_id).await?, keys))
}

/// Begins a ceremony that makes a key for a known user.
pub async fn ask_for_new_key(
    app: &App,
    party: &RelyingParty,
    user_id: UserId,
    name: &str,
) -> Result<CreationOptions, AuthError> {
    let keys = usable(security_keys::credential_ids(&app.pool, user_id).await?);
    let challenge = challenge_for(app, Purpose::AddSecurityKey, user_id).await?;
    Ok(party.begin_registration(challenge, user_id, name, keys))
}

/// Ids that browsers can read. Another one, which nothing here writes, must not lock its user out.
pub(super) fn usable(ids: Vec<String>) -> Vec<String> {
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

/// Checks another key of the user whose ceremony this was.
pub fn check_another_key(
    party: &RelyingParty,
    registration: &RegistrationResponse,
    asked: &Asked,
) -> Result<NewSecurityKey, AuthError> {
    let pending = party.pending_registration(asked.challenge).map_err(|error| broken(&error))?;
    check_new_key(party, registration, asked.challenge, &pending)
}

/// The key that an assertion says it is by.
pub async fn find_key(app: &App, assertion: &Assertion) -> Result<StoredKey, AuthError> {
    let found = security_keys::find_by_credential_id(&app.pool, &assertion.credential_id).await?;
    Ok(found.ok_or(ErrorCode::InvalidRequest)?)
}

/// Checks an assertion by this key; its use is recorded before this returns (WebAuthn 7.2).
///
/// Unless the ceremony began for a user, the authenticator has to name the user by the handle that it
/// keeps.
pub async fn check_assertion(
    app: &App,
    party: &RelyingParty,
    assertion: &Assertion,
    key: &StoredKey,
    asked: &Asked,
) -> Result<(), AuthError> {
    let handle = assertion.response.user_handle.as_deref();
    let is_theirs = match (asked.expected, handle) {
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
        .finish_assertion(&assertion.response, asked.challenge, public_key)
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
    Ok(())
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
