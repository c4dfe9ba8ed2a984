//! `/signin/provider/{provider}/callback`: back from a provider.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::accounts;
use super::accounts::{ProviderIdentity, SignInTerms, SignedIn};
use super::endpoints::{ResolvedProvider, failed};
use super::start::{Refusal, target};
use super::state;
use super::state::{Intent, PendingSignIn};
use super::tokens::ProviderSession;
use crate::app::App;
use crate::config::Config;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::random_secret::random_secret;
use crate::domain::redirect::with_query;
use crate::flows::guards::live_session::Caller;
use crate::oauth::client::{ProviderError, ProviderTokens};
use crate::oauth::configured::ProviderConfig;
use crate::oauth::id_token::{
    ExpectedNonce, IdTokenError, IdTokenVerifier, check_authorized_party, check_companion,
};
use crate::oauth::oauth1::TimestampAndNonce;
use crate::oauth::profile::{Profile, ProviderResponses};
use crate::oauth::provider::{Protocol, Source};

/// Longest text of a provider that is passed on to the application.
const MAX_DETAIL: usize = 256;

/// The parameters of the callback.
#[derive(Debug, Default)]
pub struct Callback {
    pub provider: String,
    pub state: String,
    /// What the browser kept since the sign-in began.
    pub browser: Option<String>,
    pub code: Option<SecretString>,
    pub error: Option<String>,
    pub error_description: Option<String>,
    pub error_uri: Option<String>,
    /// `OAuth` 1.0a.
    pub oauth_token: Option<String>,
    /// `OAuth` 1.0a.
    pub oauth_verifier: Option<String>,
    /// `OAuth` 1.0a: the request token that somebody did not want to be used.
    pub denied: Option<String>,
    /// Apple: what the browser posts about its user.
    pub user: Option<String>,
}

/// Where to send the browser, and what it must keep until an address is verified.
pub struct CallbackResult {
    pub location: String,
    pub browser: Option<SecretString>,
}

/// Finishes a sign-in.
pub async fn finish(app: &App, callback: Callback) -> Result<CallbackResult, Refusal> {
    let config = app.config.load_full();
    let client_url = config.accounts.redirects.client_url();
    let invalid = |error: AuthError| {
        if client_url.is_empty() {
            return Refusal::Response(error);
        }
        let details = vec![("provider_state", cut(&callback.state))];
        Refusal::Redirect { target: client_url.to_owned(), error, details }
    };
    let browser = callback.browser.as_deref().unwrap_or_default();
    let pending = state::take(app, &callback.provider, &callback.state, browser)
        .await
        .map_err(invalid)?
        .ok_or_else(|| invalid(ErrorCode::InvalidState.into()))?;
    let is_allowed = pending.redirect_to == client_url
        || config.accounts.redirects.is_allowed(&pending.redirect_to);
    if !is_allowed {
        // The settings have changed since it began.
        return Err(Refusal::redirect(client_url.to_owned(), ErrorCode::RedirectToNotAllowed));
    }
    let target = target(&pending.redirect_to, pending.client_state.as_deref());
    if let Some(refusal) = refused_by_provider(&callback, &target) {
        return Err(refusal);
    }
    match complete_sign_in(app, &config, &callback, &pending).await {
        Ok(None) => Ok(CallbackResult { location: target, browser: None }),
        Ok(Some(SignedIn { result, browser })) => {
            let location = match result {
                Some(result) => with_query(&target, &result.parameters()),
                None => target,
            };
            Ok(CallbackResult { location, browser })
        }
        Err(error) => Err(Refusal::redirect(target, error)),
    }
}

/// The provider, or its user, did not want to.
fn refused_by_provider(callback: &Callback, target: &str) -> Option<Refusal> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let denied = given(&callback.denied).map(|_token| "access_denied".to_owned());
    let error = given(&callback.error).or(denied)?;
    let detail = |text: &Option<String>| cut(text.as_deref().unwrap_or_default());
    Some(Refusal::Redirect {
        target: target.to_owned(),
        error: ErrorCode::OauthProviderError.into(),
        details: vec![
            ("provider_error", cut(&error)),
            ("provider_error_description", detail(&callback.error_description)),
            ("provider_error_url", detail(&callback.error_uri)),
        ],
    })
}

/// It is others' text, and ends up in a URL.
fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_DETAIL)].to_owned()
}

async fn complete_sign_in(
    app: &App,
    config: &Config,
    callback: &Callback,
    pending: &PendingSignIn,
) -> Result<Option<SignedIn>, AuthError> {
    let provider = config.providers.find(&callback.provider).ok_or(ErrorCode::DisabledEndpoint)?;
    let (profile, tokens) = identify(app, config, provider, callback, pending).await?;
    let tokens = pending
        .keep_tokens
        .then(|| ProviderSession::new(&tokens, app.clock.now()).to_json())
        .transpose()?;
    let identity = ProviderIdentity::new(&provider.id, profile, provider.trust_email, tokens);
    if let Intent::Connect(user_id) = pending.intent {
        // Whoever began it must still be signed in.
        let caller = pending.caller.unwrap_or_else(|| Caller::unknown(user_id));
        accounts::link(app, caller, &identity).await?;
        return Ok(None);
    }
    let terms =
        SignInTerms { intent: pending.intent, options: &pending.options, has_browser: true };
    accounts::sign_in(app, &identity, terms).await.map(Some)
}

/// Who it is, and what the provider issued.
async fn identify(
    app: &App,
    config: &Config,
    provider: &ProviderConfig,
    callback: &Callback,
    pending: &PendingSignIn,
) -> Result<(Profile, ProviderTokens), AuthError> {
    let no_token = |error| failed(&provider.id, ErrorCode::OauthTokenEchangeFailed, error);
    let no_profile = |error| failed(&provider.id, ErrorCode::OauthProfileFetchFailed, error);
    let resolved = ResolvedProvider::resolve(app, config, provider).await.map_err(no_token)?;
    let (tokens, responses) = match provider.provider.protocol {
        Protocol::OAuth2 => {
            let code = callback.code.as_ref().filter(|code| !code.expose_secret().is_empty());
            let code = code.ok_or_else(|| no_token(ProviderError::NoCode))?;
            let verifier = pending.code_verifier.as_deref().map(SecretString::from);
            let tokens = resolved
                .client()
                .exchange(code, verifier.as_ref(), app.clock.now())
                .await
                .map_err(no_token)?;
            let responses =
                ask(app, provider, &resolved, &tokens, pending).await.map_err(no_profile)?;
            (tokens, responses)
        }
        Protocol::OAuth1 => {
            let tokens =
                verify_request_token(app, &resolved, callback, pending).await.map_err(no_token)?;
            let secret = tokens.token_secret.as_ref();
            let secret = secret.ok_or_else(|| no_profile(ProviderError::Unreadable))?;
            let nonce = random_secret();
            let token = (tokens.access_token.expose_secret(), secret);
            let responses =
                resolved.client().oauth1_profile(token, &timestamp_and_nonce(app, &nonce)).await;
            let responses = responses.map_err(no_profile)?;
            (tokens, responses)
        }
    };
    let form_user = callback.user.as_deref().and_then(|user| serde_json::from_str(user).ok());
    let responses = ProviderResponses { form_user: form_user.unwrap_or_default(), ..responses };
    let profile = (provider.provider.profile)(&responses).and_then(Profile::cleaned);
    Ok((profile.map_err(|error| no_profile(error.into()))?, tokens))
}

/// `OAuth` 2: the profile, or the claims of the id token.
async fn ask(
    app: &App,
    provider: &ProviderConfig,
    resolved: &ResolvedProvider<'_>,
    tokens: &ProviderTokens,
    pending: &PendingSignIn,
) -> Result<ProviderResponses, ProviderError> {
    let now = app.clock.now();
    let client = resolved.client();
    let nonce = pending.nonce.as_deref();
    if provider.provider.source != Source::IdToken {
        if let (Some(id_token), Some(nonce)) = (&tokens.id_token, nonce) {
            check_companion(id_token, &provider.client_id, nonce, now)?;
        }
        return client.profile(&tokens.access_token).await;
    }
    let id_token = tokens.id_token.as_ref().ok_or(ProviderError::NoIdToken)?;
    let rules = resolved.id_token_rules().ok_or(ProviderError::NoIdToken)?;
    let nonce = nonce.ok_or(IdTokenError::WrongNonce)?;
    let verifier = IdTokenVerifier {
        keys: &app.issuers.keys,
        clients: &app.provider_clients,
        timeout: client.timeout,
        now,
    };
    let mut claims = verifier.verify(id_token, rules, ExpectedNonce::Exactly(nonce)).await?;
    check_authorized_party(&claims, &rules.audiences)?;
    if claims["email"].is_null() && client.endpoints.profile.is_some() {
        let more = client.more_claims(&tokens.access_token).await?;
        merge_claims(&mut claims, more.unwrap_or_default());
    }
    Ok(ProviderResponses { profile: claims, ..ProviderResponses::default() })
}

/// Claims that the id token lacks, if they are about the same person (`OpenID` Connect Core 5.3.2).
fn merge_claims(claims: &mut Value, more: Value) {
    let (Value::Object(claims), Value::Object(more)) = (claims, more) else { return };
    if claims.get("sub") == more.get("sub") {
        for (name, value) in more {
            claims.entry(name).or_insert(value);
        }
    }
}

/// `OAuth` 1.0a: the returned token has to be the one that was issued
/// (docs/reference-behaviour.md#request-tokens-are-compared).
async fn verify_request_token(
    app: &App,
    resolved: &ResolvedProvider<'_>,
    callback: &Callback,
    pending: &PendingSignIn,
) -> Result<ProviderTokens, ProviderError> {
    let (token, secret) = pending.request_token.as_ref().ok_or(ProviderError::WrongRequestToken)?;
    if callback.oauth_token.as_ref() != Some(token) {
        return Err(ProviderError::WrongRequestToken);
    }
    let verifier = callback.oauth_verifier.as_deref().unwrap_or_default();
    if verifier.is_empty() {
        return Err(ProviderError::NoCode);
    }
    let secret = SecretString::from(secret.as_str());
    let nonce = random_secret();
    resolved
        .client()
        .access_token((token, &secret), verifier, &timestamp_and_nonce(app, &nonce))
        .await
}

fn timestamp_and_nonce<'a>(app: &App, nonce: &'a SecretString) -> TimestampAndNonce<'a> {
    TimestampAndNonce { timestamp: app.clock.now().unix_timestamp(), nonce: nonce.expose_secret() }
}
