//! Tokens of providers, for the applications of their users.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::accounts::token_context;
use super::endpoints::{ResolvedProvider, failed};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::random_secret::hash_of;
use crate::flows::guards::bearer::current_user;
use crate::oauth::client::ProviderTokens;
use crate::oauth::provider::Protocol;
use crate::persistence::settings::Origin;
use crate::persistence::{provider_refresh_tokens, user_providers};

/// `ProviderSession` of Nhost Auth's contract, also the form in which tokens are sealed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderSession {
    access_token: String,
    /// Seconds; 0 if the provider does not tell.
    expires_in: u64,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl ProviderSession {
    /// What a provider has just issued.
    pub fn new(tokens: &ProviderTokens, now: OffsetDateTime) -> Self {
        let expires_in = tokens.expires_in.unwrap_or_default();
        let refresh_token = tokens.refresh_token.as_ref();
        Self {
            access_token: tokens.access_token.expose_secret().to_owned(),
            expires_in: expires_in.as_secs(),
            expires_at: now.checked_add(expires_in.try_into().unwrap_or_default()).unwrap_or(now),
            refresh_token: refresh_token.map(|token| token.expose_secret().to_owned()),
        }
    }

    fn none(now: OffsetDateTime) -> Self {
        Self { access_token: String::new(), expires_in: 0, expires_at: now, refresh_token: None }
    }

    /// To be sealed.
    pub fn to_json(&self) -> Result<SecretString, AuthError> {
        serde_json::to_string(self)
            .map(Into::into)
            .map_err(|error| AuthError::internal("tokens not serialised", error))
    }
}

/// `GET /signin/provider/{provider}/callback/tokens`: what the provider issued at the bearer's last
/// sign-in, once. Without any the token is empty.
pub async fn fetch(
    app: &App,
    bearer: Option<&str>,
    provider: &str,
) -> Result<ProviderSession, AuthError> {
    let user = current_user(app, bearer).await?;
    let now = app.clock.now();
    let mut transaction = app.pool.begin_for(user.user.id).await?;
    let taken = user_providers::take_tokens(&mut *transaction, user.user.id, provider).await?;
    let Some(taken) = taken else { return Ok(ProviderSession::none(now)) };
    // Another server may have written them, with a key that is not known here.
    let opened = app.secrets.sealer.open(&token_context(taken.id), taken.sealed.expose_secret());
    let stored: Option<ProviderSession> = match opened {
        Ok(opened) => serde_json::from_str(opened.secret.expose_secret()).ok(),
        Err(error) => {
            tracing::warn!(
                provider,
                error = &error as &dyn std::error::Error,
                "stored tokens of a provider cannot be opened"
            );
            None
        }
    };
    if let Some(token) = stored.as_ref().and_then(|stored| stored.refresh_token.as_deref()) {
        let hash = refresh_token_hash(provider, token);
        provider_refresh_tokens::insert(&mut *transaction, &hash, taken.id, now).await?;
    }
    transaction.commit().await?;
    Ok(stored.unwrap_or_else(|| ProviderSession::none(now)))
}

/// What is remembered of a provider's refresh token.
fn refresh_token_hash(provider: &str, token: &str) -> [u8; 32] {
    hash_of(&["provider refresh token", provider, token])
}

/// `POST /token/provider/{provider}`: trades a refresh token of the provider, for the user to whom it
/// was given (docs/reference-behaviour.md#provider-tokens-are-their-users).
pub async fn refresh(
    app: &App,
    bearer: Option<&str>,
    provider: &str,
    refresh_token: SecretString,
) -> Result<ProviderSession, AuthError> {
    let user = current_user(app, bearer).await?;
    let config = app.config.load_full();
    let provider = config.providers.find(provider).ok_or(ErrorCode::DisabledEndpoint)?;
    if provider.provider.protocol == Protocol::OAuth1 {
        return Err(ErrorCode::OauthProviderError.into());
    }
    let refused = |error| failed(&provider.id, ErrorCode::OauthProviderError, error);
    let hash = refresh_token_hash(&provider.id, refresh_token.expose_secret());
    let owner = provider_refresh_tokens::find(&app.pool, &hash).await?;
    let is_theirs = match &owner {
        Some(owner) => owner.user_id == user.user.id && owner.provider_id == provider.id,
        // Another server may have given it out, where there was one.
        None => app.origin() == Origin::Adopted,
    };
    if !is_theirs {
        // As the provider would say of a token that it does not know.
        return Err(ErrorCode::OauthProviderError.into());
    }
    let resolved = ResolvedProvider::resolve(app, &config, provider).await.map_err(refused)?;
    let now = app.clock.now();
    let tokens = resolved.client().refresh(refresh_token, now).await.map_err(refused)?;
    if let (Some(owner), Some(next)) = (owner, &tokens.refresh_token) {
        let hash = refresh_token_hash(&provider.id, next.expose_secret());
        provider_refresh_tokens::insert(&app.pool, &hash, owner.link_id, now).await?;
    }
    Ok(ProviderSession::new(&tokens, now))
}
