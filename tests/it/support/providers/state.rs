//! What providers remember.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::catalogue::{CUSTOM, ClientAuth, PROVIDERS, Provider, TokenShape};
use super::fault::{Endpoint, Fault};
use super::id_tokens::KeySet;
use super::wire::{Call, Parameters};

/// Somebody's account at a provider, as that tells of it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The body of the profile endpoint, and the claims of id tokens.
    pub(crate) profile: Value,
    /// The body of the e-mails endpoint, where there is one.
    pub(crate) emails: Value,
    /// Apple's field `user`, at the first time only.
    pub(crate) user_field: Option<String>,
}

impl Account {
    pub(crate) fn new(profile: Value) -> Self {
        Self { profile, emails: Value::Null, user_field: None }
    }

    pub(crate) fn with_emails(self, emails: Value) -> Self {
        Self { emails, ..self }
    }

    pub(crate) fn with_user_field(self, user: &str) -> Self {
        Self { user_field: Some(user.to_owned()), ..self }
    }
}

/// How a client authenticated at a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Basic,
    Body,
}

/// A token request that named the right client.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    pub(crate) style: Style,
    pub(crate) form: Parameters,
}

/// What a code stands for.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) account: Account,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) is_used: bool,
}

/// What the user does on the authorize page.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    Allow,
    /// These parameters instead of a code.
    Instead(Vec<(String, String)>),
}

/// A request token of OAuth 1.0a.
#[derive(Clone, Debug)]
pub(super) struct RequestToken {
    pub(super) secret: String,
    pub(super) callback: String,
    pub(super) verifier: Option<String>,
    pub(super) account: Account,
    pub(super) is_used: bool,
}

/// One provider's memory.
pub(super) struct ProviderState {
    pub(super) provider: &'static Provider,
    pub(super) redirect_uri: String,
    /// Who sits before the browser.
    pub(super) account: Account,
    pub(super) choice: Choice,
    pub(super) client_auth: ClientAuth,
    pub(super) shape: TokenShape,
    pub(super) faults: BTreeMap<Endpoint, Fault>,
    /// Everything that was asked.
    pub(super) calls: Vec<(Endpoint, Call)>,
    pub(super) authorizations: Vec<Parameters>,
    pub(super) token_requests: Vec<TokenRequest>,
    pub(super) grants: HashMap<String, Grant>,
    pub(super) access_tokens: HashMap<String, Account>,
    pub(super) refresh_tokens: HashMap<String, Account>,
    pub(super) request_tokens: HashMap<String, RequestToken>,
    /// Access token to its secret, of OAuth 1.0a.
    pub(super) token_secrets: HashMap<String, String>,
    pub(super) nonces: HashSet<String>,
    pub(super) keys: KeySet,
    /// Claims that id tokens of token responses have instead of the right ones; `null` leaves one
    /// out.
    pub(super) claims: Claims,
    /// Another than its own, in the discovery document.
    pub(super) claimed_issuer: Option<String>,
}

/// Claims by name.
pub(super) type Claims = serde_json::Map<String, Value>;

/// All of them.
pub(super) struct World {
    pub(super) providers: BTreeMap<String, ProviderState>,
}

impl World {
    pub(super) fn new(server_url: &str) -> Self {
        let all = PROVIDERS.iter().chain([&CUSTOM]);
        let providers = all
            .map(|provider| (provider.id.to_owned(), ProviderState::new(provider, server_url)))
            .collect();
        Self { providers }
    }
}

impl ProviderState {
    fn new(provider: &'static Provider, server_url: &str) -> Self {
        Self {
            provider,
            redirect_uri: redirect_uri(server_url, provider.id),
            account: super::vectors::account(provider.id),
            choice: Choice::Allow,
            client_auth: provider.client_auth,
            shape: provider.shape,
            faults: BTreeMap::new(),
            calls: Vec::new(),
            authorizations: Vec::new(),
            token_requests: Vec::new(),
            grants: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            request_tokens: HashMap::new(),
            token_secrets: HashMap::new(),
            nonces: HashSet::new(),
            keys: KeySet::default(),
            claims: Claims::new(),
            claimed_issuer: None,
        }
    }

    /// The one client that it knows.
    pub(super) fn client_id(&self) -> String {
        super::catalogue::client_id(self.provider.id)
    }

    pub(super) fn secret(&self) -> String {
        super::catalogue::secret(self.provider.id)
    }
}

/// Where a provider sends browsers back to.
pub(super) fn redirect_uri(server_url: &str, provider: &str) -> String {
    format!("{server_url}/signin/provider/{provider}/callback")
}

/// Something that nobody guesses.
pub(super) fn opaque(kind: &str) -> String {
    format!("{kind}/{}+{}=", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
