//! What is kept of a provider sign-in while somebody is at the provider.
//!
//! The provider carries a random handle. What is stored lies under the hash of that handle, the
//! provider's name and a secret that only the browser has in which it began: of another provider, or
//! in another browser, the handle opens nothing and uses nothing up. Whoever reads the table
//! finds it sealed.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::random_secret::{hash_of, random_secret};
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::guards::live_session::Caller;
use crate::flows::guards::network_key::network_key;
use crate::persistence::challenges::NewChallenge;

/// What is to come of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// Who is unknown becomes a user, unless the settings forbid it.
    SignIn,
    /// Who is known already is refused.
    SignUp,
    /// It is added to this user.
    Connect(UserId),
}

/// A sign-in that is under way.
#[derive(Serialize, Deserialize)]
pub struct PendingSignIn {
    pub intent: Intent,
    /// Who connects; absent in what the version before this one has stored.
    #[serde(default)]
    pub caller: Option<Caller>,
    pub options: SignUpOptions,
    /// Where the application wants people back.
    pub redirect_to: String,
    /// The application's own state, given back with every redirect.
    pub client_state: Option<String>,
    /// The application will ask for the provider's tokens.
    pub keep_tokens: bool,
    /// PKCE verifier for the provider's token endpoint (RFC 7636).
    pub code_verifier: Option<String>,
    pub nonce: Option<String>,
    /// Token and secret of `OAuth` 1.0a.
    pub request_token: Option<(String, String)>,
}

/// The handle for the provider, and the secret for the browser.
pub struct StateHandle {
    pub handle: SecretString,
    pub browser: SecretString,
}

impl StateHandle {
    /// A fresh one; nothing is stored yet.
    pub fn fresh() -> Self {
        Self { handle: random_secret(), browser: random_secret() }
    }

    fn key(provider: &str, handle: &str, browser: &str) -> Challenge {
        Challenge(hash_of(&["provider sign-in", provider, handle, browser]))
    }
}

/// Stores a sign-in, which this client began, under its handle.
pub async fn put(
    app: &App,
    provider: &str,
    state: &StateHandle,
    pending: &PendingSignIn,
    client: IpAddr,
) -> Result<(), AuthError> {
    let key =
        StateHandle::key(provider, state.handle.expose_secret(), state.browser.expose_secret());
    let data = serde_json::to_string(pending)
        .map_err(|error| AuthError::internal("sign-in not serialised", error))?;
    let user_id = match pending.intent {
        Intent::Connect(user_id) => Some(user_id),
        Intent::SignIn | Intent::SignUp => None,
    };
    let created_at = app.clock.now();
    let new = NewChallenge {
        challenge: key,
        purpose: Purpose::ProviderSignIn,
        user_id,
        network: Some(network_key(app, client)),
        data: app.secrets.sealer.seal(&key.0, &data.into()),
        created_at,
        expires_at: created_at + app.config().providers.state_lifetime,
    };
    app.actors.challenges.put(new).await
}

/// Uses a sign-in up; `None` if there is none for this provider and this browser.
pub async fn take(
    app: &App,
    provider: &str,
    handle: &str,
    browser: &str,
) -> Result<Option<PendingSignIn>, AuthError> {
    let key = StateHandle::key(provider, handle, browser);
    let Some(taken) = app.actors.challenges.take(key, Purpose::ProviderSignIn, None).await? else {
        return Ok(None);
    };
    let opened = app
        .secrets
        .sealer
        .open(&key.0, &taken.data)
        .map_err(|error| AuthError::internal("stored sign-in not opened", error))?;
    serde_json::from_str(opened.secret.expose_secret())
        .map(Some)
        .map_err(|error| AuthError::internal("stored sign-in cannot be read", error))
}
