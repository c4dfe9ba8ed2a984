//! Sign-in providers in software: they speak the real protocols over real HTTP, check what they are
//! sent as strictly as the real ones, keep it, and fail as told.
//!
//! Each lives under `/<provider id>/…` of one listener: `authorize`, `token`, `profile`, and what else it has.

mod apple;
mod authorize;
pub(crate) mod browser;
mod catalogue;
mod control;
mod cookies;
mod fault;
pub(crate) mod id_tokens;
mod oauth1;
mod openid;
mod profile;
mod self_tests;
mod serve;
pub(crate) mod social;
mod state;
mod token;
mod twitter;
pub(crate) mod vectors;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard};

use keywright::domain::clock::Clock;
use tokio::task::JoinHandle;

pub(crate) use catalogue::{ClientAuth, PROVIDERS, Provider};
pub(crate) use control::Control;
pub(crate) use fault::{Endpoint, Fault};
pub(crate) use state::{Account, Style};

/// How token endpoints may respond.
pub(crate) mod shape {
    pub(crate) use super::catalogue::{Expiry, Format, RefreshToken};
}

use id_tokens::Keys;
use state::World;

/// The server under test, as providers and browsers know it.
pub(crate) const SERVER_URL: &str = "http://auth.test";
/// The same behind TLS.
pub(crate) const SECURE_SERVER_URL: &str = "https://auth.test";
/// The application, as they know it.
pub(crate) const CLIENT_URL: &str = "http://localhost:3000";

/// All providers, listening.
pub(crate) struct Providers {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    /// Of the server that they send browsers back to.
    pub(crate) server_url: String,
    /// Theirs and, for tests that move time, the server's.
    pub(crate) clock: Clock,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// What every connection sees.
struct Shared {
    url: String,
    clock: Clock,
    world: Mutex<World>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }
}

impl Providers {
    /// For a server at [`SERVER_URL`].
    pub(crate) async fn start() -> Self {
        Self::start_for(SERVER_URL).await
    }

    /// For a server at this URL, which is where they agree to send browsers back to.
    pub(crate) async fn start_for(server_url: &str) -> Self {
        let clock = Clock::system();
        let (url, listener) = serve::bind().await;
        let world = Mutex::new(World::new(server_url));
        let shared = Arc::new(Shared { url: url.clone(), clock: clock.clone(), world });
        let task = serve::run(listener, Arc::clone(&shared));
        Self { url, server_url: server_url.to_owned(), clock, shared, task }
    }

    /// From now on they send browsers back to this server.
    pub(crate) fn lead_back_to(&self, server_url: &str) {
        for (id, state) in &mut self.shared.world().providers {
            state.redirect_uri = state::redirect_uri(server_url, id);
        }
    }

    /// One of them, to be told things and to be asked what it saw.
    pub(crate) fn at(&self, provider: &str) -> Control<'_> {
        assert!(self.shared.world().providers.contains_key(provider), "no provider {provider}");
        Control::new(self, provider)
    }

    /// The settings of a server that uses these: enabled, with credentials and all endpoints.
    pub(crate) fn settings(&self, providers: &[&str]) -> Vec<(String, String)> {
        providers.iter().flat_map(|id| self.settings_of(catalogue::find(id))).collect()
    }

    /// The value of `AUTH_PROVIDER_CUSTOM` for the generic one.
    pub(crate) fn custom(&self) -> serde_json::Value {
        serde_json::json!({"acme": {
            "type": "oidc", "clientId": "acme-client", "clientSecret": catalogue::secret("c:acme"),
            "issuer": self.issuer("c:acme"),
        }})
    }

    /// Who signs id tokens there.
    pub(crate) fn issuer(&self, provider: &str) -> String {
        match provider {
            "apple" => "https://appleid.apple.com".to_owned(),
            "google" => "https://accounts.google.com".to_owned(),
            other => format!("{}/{other}", self.url),
        }
    }

    fn settings_of(&self, provider: &Provider) -> Vec<(String, String)> {
        let id = provider.id;
        let mut all = vec![("ENABLED", "true".to_owned())];
        let at = |path: &str| format!("{}/{id}/{path}", self.url);
        if id == "twitter" {
            all.push(("CONSUMER_KEY", catalogue::client_id(id)));
            all.push(("CONSUMER_SECRET", catalogue::secret(id)));
            all.push(("REQUEST_TOKEN_URL", at("request_token")));
        } else {
            all.push(("CLIENT_ID", catalogue::client_id(id)));
        }
        all.push(("AUTHORIZATION_URL", format!("{}{}", at("authorize"), provider.fixed_query)));
        all.push(("TOKEN_URL", at("token")));
        match id {
            "twitter" => {}
            "apple" => {
                all.push(("TEAM_ID", apple::TEAM.to_owned()));
                all.push(("KEY_ID", apple::KEY_ID.to_owned()));
                all.push(("PRIVATE_KEY", Keys::shared().apple_pem()));
            }
            _ => all.push(("CLIENT_SECRET", catalogue::secret(id))),
        }
        if id != "apple" {
            let profile = format!("{}{}", at("profile"), provider.profile_query);
            all.push(("USER_PROFILE_URL", profile));
        }
        if matches!(id, "github" | "bitbucket") {
            all.push(("USER_EMAILS_URL", at("emails")));
        }
        if matches!(id, "apple" | "google") {
            all.push(("JWKS_URL", at("jwks")));
            all.push(("AUDIENCE", format!("{},com.example.phone", catalogue::client_id(id))));
        }
        all.into_iter()
            .map(|(name, value)| (format!("AUTH_PROVIDER_{}_{name}", provider.setting), value))
            .collect()
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.task.abort();
    }
}
