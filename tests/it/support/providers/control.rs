//! The way tests speak to one provider.

use serde_json::Value;

use super::Providers;
use super::catalogue::{ClientAuth, TokenShape};
use super::fault::{Endpoint, Fault};
use super::openid;
use super::state::{Account, Choice, ProviderState, TokenRequest};
use super::wire::{Call, Parameters};

/// One provider of the running ones.
pub(crate) struct Control<'a> {
    providers: &'a Providers,
    id: String,
}

impl<'a> Control<'a> {
    pub(super) fn new(providers: &'a Providers, id: &str) -> Self {
        Self { providers, id: id.to_owned() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut ProviderState) -> T) -> T {
        work(self.providers.shared.world().providers.get_mut(&self.id).expect("it exists"))
    }

    /// Who sits before the browser from now on.
    pub(crate) fn account(&self, account: Account) {
        self.with(|state| state.account = account);
    }

    /// Changes members of the present account's profile; `null` stays `null`.
    pub(crate) fn change_profile(&self, changes: &Value) {
        self.with(|state| {
            for (name, value) in changes.as_object().expect("an object") {
                state.account.profile[name] = value.clone();
            }
        });
    }

    /// The user does not allow it: these parameters are returned instead of a code.
    pub(crate) fn refuse(&self, parameters: &[(&str, &str)]) {
        let owned = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.with(|state| state.choice = Choice::Instead(owned.collect()));
    }

    /// The user allows it again.
    pub(crate) fn allow(&self) {
        self.with(|state| state.choice = Choice::Allow);
    }

    /// From now on this part fails.
    pub(crate) fn fail(&self, endpoint: Endpoint, fault: Fault) {
        self.with(|state| state.faults.insert(endpoint, fault));
    }

    /// Nothing fails any more.
    pub(crate) fn recover(&self) {
        self.with(|state| state.faults.clear());
    }

    pub(crate) fn client_auth(&self, client_auth: ClientAuth) {
        self.with(|state| state.client_auth = client_auth);
    }

    /// Changes the token responses.
    pub(crate) fn shape(&self, change: impl FnOnce(&mut TokenShape)) {
        self.with(|state| change(&mut state.shape));
    }

    /// Claims of the id tokens in its token responses, instead of the right ones; `null` leaves one
    /// out.
    pub(crate) fn claims(&self, claims: &Value) {
        self.with(|state| state.claims.clone_from(claims.as_object().expect("an object")));
    }

    /// What its discovery document says that it is.
    pub(crate) fn claim_issuer(&self, issuer: Option<&str>) {
        self.with(|state| state.claimed_issuer = issuer.map(ToOwned::to_owned));
    }

    /// Another key signs, and the old one is no longer published.
    pub(crate) fn rotate_keys(&self) {
        self.with(|state| state.keys.rotate());
    }

    /// The same, but the new key has the name of the old one.
    pub(crate) fn replace_key(&self) {
        self.with(|state| state.keys.replace());
    }

    /// Right claims about the present account, then changes; `null` leaves one out.
    pub(crate) fn good_claims(&self, changes: &Value) -> Value {
        let shared = &self.providers.shared;
        self.with(|state| openid::claims(shared, state, &state.account, changes))
    }

    /// An id token with those claims and a right signature.
    pub(crate) fn id_token(&self, changes: &Value) -> String {
        let claims = self.good_claims(changes);
        self.with(|state| state.keys.sign(&claims))
    }

    /// Every authorization request so far.
    pub(crate) fn authorizations(&self) -> Vec<Parameters> {
        self.with(|state| state.authorizations.clone())
    }

    /// The last of them.
    #[track_caller]
    pub(crate) fn authorization(&self) -> Parameters {
        self.authorizations().pop().expect("it was asked")
    }

    /// Every token request of the right client so far.
    pub(crate) fn token_requests(&self) -> Vec<TokenRequest> {
        self.with(|state| state.token_requests.clone())
    }

    /// Every request to this part so far, right or wrong.
    pub(crate) fn calls(&self, endpoint: Endpoint) -> Vec<Call> {
        self.with(|state| {
            let these = state.calls.iter().filter(|(of, _)| *of == endpoint);
            these.map(|(_, call)| call.clone()).collect()
        })
    }
}
