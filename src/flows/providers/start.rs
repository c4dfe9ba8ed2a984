//! `GET /signin/provider/{provider}` and `GET /signup/provider/{provider}`: off to a provider.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::endpoints::{ResolvedProvider, failed};
use super::state;
use super::state::{Intent, PendingSignIn, StateHandle};
use crate::app::App;
use crate::config::{ConnectFrom, KeepTokens};
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::random_secret::{cookie_secret, random_secret};
use crate::domain::redirect::with_query;
use crate::domain::request_origin::RequestOrigin;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::guards::bearer::{authenticate, authenticate_elevated, registered};
use crate::flows::guards::live_session::{Caller, Sensitive};
use crate::oauth::client::Protections;
use crate::oauth::configured::ProviderConfig;
use crate::oauth::oauth1::TimestampAndNonce;
use crate::oauth::provider::Protocol;

/// What an application asks for.
#[derive(Debug)]
pub struct SignInRequest<'a> {
    pub provider: &'a str,
    /// Only who is unknown is accepted.
    pub is_sign_up: bool,
    /// The access token of a user who wants to add the identity.
    pub connect: Option<&'a str>,
    /// Who asks.
    pub origin: RequestOrigin,
    pub client: IpAddr,
    pub options: SignUpOptions,
    pub client_state: Option<String>,
    /// `WorkOS` only.
    pub organization: Option<String>,
    /// `WorkOS` only.
    pub connection: Option<String>,
    pub wants_tokens: bool,
}

/// Where to send the browser, and the state that the callback must return.
pub struct AuthorizationRedirect {
    pub location: String,
    pub state: StateHandle,
}

/// Why a step did not succeed, and where that is told.
pub enum Refusal {
    /// In the response itself, since there is no target that could be trusted.
    Response(AuthError),
    /// To the application, in the query of its redirect.
    Redirect { target: String, error: AuthError, details: Vec<(&'static str, String)> },
}

impl<E: Into<AuthError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Response(error.into())
    }
}

impl Refusal {
    /// What went wrong.
    pub const fn error(&self) -> &AuthError {
        match self {
            Self::Response(error) | Self::Redirect { error, .. } => error,
        }
    }

    /// Told to the application.
    pub fn redirect(target: String, error: impl Into<AuthError>) -> Self {
        Self::Redirect { target, error: error.into(), details: Vec::new() }
    }
}

/// Where the application is told of success and failure, with its own state.
pub fn target(redirect_to: &str, client_state: Option<&str>) -> String {
    match client_state {
        Some(state) => with_query(redirect_to, &[("state", state)]),
        None => redirect_to.to_owned(),
    }
}

/// Begins a sign-in with a provider.
pub async fn begin(
    app: &App,
    request: SignInRequest<'_>,
) -> Result<AuthorizationRedirect, Refusal> {
    let connect_from = app.config.load().providers.connect_from(app.origin());
    start(app, request, connect_from).await
}

/// The same for a user who is signed in, whose application gets a response instead of a redirect.
///
/// Responses are readable and cookies are taken from any page, so this too is for own pages only.
pub async fn begin_link(
    app: &App,
    request: SignInRequest<'_>,
) -> Result<AuthorizationRedirect, AuthError> {
    // First of all, and also where there is no token at all.
    authenticate(app, request.connect)?.check(app).await?;
    start(app, request, ConnectFrom::OwnPagesOrUnknown).await.map_err(|refusal| match refusal {
        Refusal::Response(error) | Refusal::Redirect { error, .. } => error,
    })
}

async fn start(
    app: &App,
    request: SignInRequest<'_>,
    connect_from: ConnectFrom,
) -> Result<AuthorizationRedirect, Refusal> {
    let config = app.config.load_full();
    if request.is_sign_up && config.accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    let redirect_to = config.accounts.redirects.choose(request.options.redirect_to.as_deref())?;
    if url::Url::parse(&redirect_to).is_err() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let target = target(&redirect_to, request.client_state.as_deref());
    let refuse = |error: AuthError| Refusal::redirect(target.clone(), error);
    let provider = config
        .providers
        .find(request.provider)
        .ok_or_else(|| refuse(ErrorCode::DisabledEndpoint.into()))?;
    // Now, so that no access token travels to the provider.
    let (intent, caller) = match request.connect {
        _ if request.is_sign_up => (Intent::SignUp, None),
        None => (Intent::SignIn, None),
        Some(token) => {
            let own = [config.accounts.redirects.client_url(), &redirect_to];
            check_origin(&request.origin, own, connect_from).map_err(refuse)?;
            let caller = connect(app, token).await.map_err(refuse)?;
            (Intent::Connect(caller.id()), Some(caller))
        }
    };
    let resolved = ResolvedProvider::resolve(app, &config, provider)
        .await
        .map_err(|error| refuse(failed(&provider.id, ErrorCode::InternalServerError, error)))?;
    let browser = cookie_secret(config.server.is_https());
    let state = StateHandle { browser, ..StateHandle::fresh() };
    let pending = PendingSignIn {
        intent,
        caller,
        options: request.options,
        redirect_to,
        client_state: request.client_state,
        keep_tokens: match config.providers.tokens {
            KeepTokens::Never => false,
            KeepTokens::OnRequest => request.wants_tokens,
            KeepTokens::Always => true,
        },
        code_verifier: None,
        nonce: None,
        request_token: None,
    };
    let (location, pending) = match provider.provider.protocol {
        Protocol::OAuth2 => {
            let more = [("organization", request.organization), ("connection", request.connection)];
            oauth2_redirect(&resolved, provider, &state, pending, more)
        }
        Protocol::OAuth1 => {
            oauth1_redirect(app, &resolved, provider, &state, pending).await.map_err(refuse)?
        }
    };
    state::put(app, &provider.id, &state, &pending, request.client).await.map_err(refuse)?;
    Ok(AuthorizationRedirect { location, state })
}

/// Refuses to add an identity for a page of somebody else.
///
/// Whoever gets a browser to begin with a token of their own could otherwise have its user add an
/// identity to the wrong account (docs/reference-behaviour.md#pages-that-may-connect). An
/// address that a browser says was typed, or opened by an app or a mail, is let through; `never` of
/// the setting refuses it too.
fn check_origin(
    origin: &RequestOrigin,
    own: [&str; 2],
    connect_from: ConnectFrom,
) -> Result<(), AuthError> {
    match connect_from {
        ConnectFrom::Anywhere => Ok(()),
        ConnectFrom::OwnPagesOrUnknown if *origin == RequestOrigin::Unknown => Ok(()),
        ConnectFrom::OwnPages | ConnectFrom::OwnPagesOrUnknown if origin.is_none_but(own) => Ok(()),
        ConnectFrom::OwnPages | ConnectFrom::OwnPagesOrUnknown => Err(AuthError::InvalidRequest(
            "the page that asks is not of the origin of AUTH_CLIENT_URL or redirectTo".to_owned(),
        )),
        ConnectFrom::Nowhere => Err(ErrorCode::DisabledEndpoint.into()),
    }
}

/// The user whom an access token stands for is to get the identity.
async fn connect(app: &App, token: &str) -> Result<Caller, AuthError> {
    let refused = |error| match error {
        AuthError::InvalidRequest(_) => ErrorCode::InvalidRequest.into(),
        other => other,
    };
    let caller = authenticate_elevated(app, Some(token), Sensitive::Ordinary).await;
    let caller = caller.map_err(refused)?;
    registered(app, caller.id()).await?;
    caller.check(app).await.map_err(refused)?;
    Ok(caller)
}

/// `OAuth` 2: everything is in the URL.
fn oauth2_redirect(
    resolved: &ResolvedProvider<'_>,
    provider: &ProviderConfig,
    state: &StateHandle,
    mut pending: PendingSignIn,
    more: [(&'static str, Option<String>); 2],
) -> (String, PendingSignIn) {
    let verifier: Option<SecretString> = provider.pkce.then(random_secret);
    let asks_for_id_token = provider.scopes.iter().any(|scope| scope == "openid")
        || resolved.id_token_rules().is_some();
    let nonce = (provider.provider.nonce && asks_for_id_token).then(random_secret);
    let protections = Protections {
        state: state.handle.expose_secret(),
        code_verifier: verifier.as_ref(),
        nonce: nonce.as_ref().map(SecretString::expose_secret),
    };
    let more: Vec<(&'static str, String)> = more
        .into_iter()
        .filter(|_| provider.provider.takes_organizations)
        .filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)))
        .collect();
    let location = resolved.client().authorization_url(&protections, &more).into();
    pending.code_verifier = verifier.map(|secret| secret.expose_secret().to_owned());
    pending.nonce = nonce.map(|secret| secret.expose_secret().to_owned());
    (location, pending)
}

/// `OAuth` 1.0a: the provider has to hear of it first, and the callback returns the state.
async fn oauth1_redirect(
    app: &App,
    resolved: &ResolvedProvider<'_>,
    provider: &ProviderConfig,
    state: &StateHandle,
    mut pending: PendingSignIn,
) -> Result<(String, PendingSignIn), AuthError> {
    let callback = with_query(resolved.redirect_uri(), &[("state", state.handle.expose_secret())]);
    let nonce = random_secret();
    let timestamp_and_nonce = TimestampAndNonce {
        timestamp: app.clock.now().unix_timestamp(),
        nonce: nonce.expose_secret(),
    };
    let client = resolved.client();
    let (token, secret) = client
        .request_token(&callback, &timestamp_and_nonce)
        .await
        .map_err(|error| failed(&provider.id, ErrorCode::InternalServerError, error))?;
    let location = client.oauth1_authorization_url(&token).into();
    pending.request_token = Some((token, secret.expose_secret().to_owned()));
    Ok((location, pending))
}
