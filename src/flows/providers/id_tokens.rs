//! `POST /signin/idtoken`, `/signup/idtoken` and `/link/idtoken`: identities that applications got from
//! Apple or Google by themselves.

use secrecy::SecretString;

use super::accounts;
use super::accounts::{ProviderIdentity, SignInTerms};
use super::endpoints::failed;
use super::state::Intent;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::guards::bearer::authenticate_elevated;
use crate::flows::guards::live_session::Sensitive;
use crate::flows::sessions::session::IssuedSession;
use crate::flows::sessions::sign_in_result::SignInResult;
use crate::oauth::id_token::{ExpectedNonce, IdTokenError, IdTokenVerifier};
use crate::oauth::profile::{Profile, ProviderResponses};
use crate::oauth::providers;

/// An id token, and what it must say.
pub struct PresentedIdToken<'a> {
    pub provider: &'a str,
    pub token: &'a SecretString,
    /// The application's own nonce; the token holds its hash.
    pub nonce: Option<&'a str>,
}

/// A session for an identity; `None` if the address has to be verified first.
pub async fn sign_in(
    app: &App,
    presented: &PresentedIdToken<'_>,
    options: &SignUpOptions,
) -> Result<Option<IssuedSession>, AuthError> {
    enter(app, presented, options, Intent::SignIn).await
}

/// The same for somebody who must not be known yet.
pub async fn sign_up(
    app: &App,
    presented: &PresentedIdToken<'_>,
    options: &SignUpOptions,
) -> Result<Option<IssuedSession>, AuthError> {
    if app.config().accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    enter(app, presented, options, Intent::SignUp).await
}

/// Adds an identity to the bearer.
pub async fn link(
    app: &App,
    bearer: Option<&str>,
    presented: &PresentedIdToken<'_>,
) -> Result<(), AuthError> {
    let caller = authenticate_elevated(app, bearer, Sensitive::Ordinary).await?;
    let identity = identify(app, presented).await?;
    accounts::link(app, caller, &identity).await
}

async fn enter(
    app: &App,
    presented: &PresentedIdToken<'_>,
    options: &SignUpOptions,
    intent: Intent,
) -> Result<Option<IssuedSession>, AuthError> {
    let identity = identify(app, presented).await?;
    if !identity.is_welcome(&app.config().accounts.email_access) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    let terms = SignInTerms { intent, options, has_browser: false };
    match accounts::sign_in(app, &identity, terms).await?.result {
        Some(SignInResult::Session(session)) => Ok(Some(*session)),
        Some(SignInResult::Code(_)) | None => Ok(None),
    }
}

async fn identify(
    app: &App,
    presented: &PresentedIdToken<'_>,
) -> Result<ProviderIdentity, AuthError> {
    let config = app.config.load_full();
    let id = presented.provider;
    let provider = providers::find(id).ok_or(ErrorCode::DisabledEndpoint)?;
    let rules = config.providers.id_tokens.get(id).ok_or(ErrorCode::DisabledEndpoint)?;
    let verifier = IdTokenVerifier {
        keys: &app.issuers.keys,
        clients: &app.provider_clients,
        timeout: config.providers.timeout,
        now: app.clock.now(),
    };
    let nonce = ExpectedNonce::HashOf(presented.nonce);
    let claims =
        verifier.verify(presented.token, rules, nonce).await.map_err(|error| match error {
            // That is not the client's fault, and worth a line in the log.
            IdTokenError::Keys(_) => failed(id, ErrorCode::InvalidRequest, error.into()),
            error => {
                tracing::debug!(error = &error as &dyn std::error::Error, "id token refused");
                ErrorCode::InvalidRequest.into()
            }
        })?;
    if claims["email"].as_str().is_none() {
        return Err(ErrorCode::InvalidRequest.into());
    }
    let responses = ProviderResponses { profile: claims, ..ProviderResponses::default() };
    // Apple's mapping reads names from its form, but here only the token tells one.
    let name = responses.profile["name"].as_str().map(ToOwned::to_owned);
    let profile = (provider.profile)(&responses)
        .and_then(|profile| Profile { name, ..profile }.cleaned())
        .map_err(|error| failed(id, ErrorCode::OauthProfileFetchFailed, error.into()))?;
    Ok(ProviderIdentity::new(id, profile, false, None))
}
