//! Speaks to the endpoints of a provider, on the `oauth2` crate.
//!
//! Every call is bounded in time and in bytes, follows no redirect, and never logs what it got.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use oauth2::basic::{BasicErrorResponse, BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, CsrfToken,
    EmptyExtraTokenFields, EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, ResponseType, Scope, StandardErrorResponse, StandardRevocableToken,
    StandardTokenIntrospectionResponse, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use url::{Url, form_urlencoded};

use super::configured::{ClientSecret, KnownEndpoints, ProviderConfig};
use super::discovery::DiscoveryError;
use super::fetch::json_response;
use super::id_token::IdTokenError;
use super::oauth1::{self, Credentials, TimestampAndNonce};
use super::profile::{ProfileError, ProviderResponses};
use super::provider::Source;
use super::token_response::normalised;
use crate::clients::{Address, ClientError, HttpClients, read};

/// Longest error code of a provider that is repeated in a log.
const MAX_CODE: usize = 64;

/// Why a provider did not do what it was asked. Never says what was asked or what it returned.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The code is the provider's, cut and escaped.
    #[error("the provider refused: {0}")]
    Refused(String),
    #[error("the provider cannot be asked")]
    Client(#[from] ClientError),
    #[error("the response of the provider cannot be read")]
    Unreadable,
    #[error("the provider cannot be discovered")]
    Discovery(#[from] Arc<DiscoveryError>),
    #[error("the id token is not accepted")]
    IdToken(#[from] IdTokenError),
    #[error("the response has no id token")]
    NoIdToken,
    #[error("the response is no profile")]
    Profile(#[from] ProfileError),
    #[error("no code was returned")]
    NoCode,
    #[error("another request token was returned")]
    WrongRequestToken,
}

/// What a provider issued.
#[derive(Debug)]
pub struct ProviderTokens {
    pub access_token: SecretString,
    /// Of `OAuth` 1.0a, which signs with it.
    pub token_secret: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    pub expires_in: Option<Duration>,
    pub id_token: Option<SecretString>,
}

/// The one member beyond RFC 6749 that matters here.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct IdTokenField {
    #[serde(default)]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type OAuth2<Auth, Token> = Client<
    BasicErrorResponse,
    StandardTokenResponse<IdTokenField, BasicTokenType>,
    StandardTokenIntrospectionResponse<EmptyExtraTokenFields, BasicTokenType>,
    StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    Auth,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    Token,
>;

/// One provider, ready to be spoken to.
#[derive(Clone, Copy)]
pub struct ProviderClient<'a> {
    pub config: &'a ProviderConfig,
    pub endpoints: &'a KnownEndpoints,
    /// How client id and secret travel to the token endpoint.
    pub auth_style: &'a AuthType,
    pub clients: &'a HttpClients,
    /// For one call.
    pub timeout: Duration,
    /// Where the provider sends people back to.
    pub redirect_uri: &'a str,
}

/// What protects one authorization request.
#[derive(Debug)]
pub struct Protections<'a> {
    pub state: &'a str,
    /// RFC 7636.
    pub code_verifier: Option<&'a SecretString>,
    pub nonce: Option<&'a str>,
}

impl ProviderClient<'_> {
    /// Where people are sent to consent; `more` replaces configured parameters of the same name.
    pub fn authorization_url(
        &self,
        protections: &Protections<'_>,
        more: &[(&'static str, String)],
    ) -> Url {
        let state = protections.state.to_owned();
        let client =
            self.oauth2().set_auth_uri(AuthUrl::from_url(self.endpoints.authorization.clone()));
        let mut request = client
            .authorize_url(|| CsrfToken::new(state))
            .set_redirect_uri(Cow::Owned(self.redirect_url()))
            .add_scopes(self.config.scopes.iter().cloned().map(Scope::new));
        if let Some(verifier) = protections.code_verifier {
            let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
            request =
                request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        if let Some(nonce) = protections.nonce {
            request = request.add_extra_param("nonce", nonce);
        }
        let configured = self
            .config
            .parameters
            .iter()
            .filter(|(key, _)| more.iter().all(|(replaced, _)| replaced != key));
        for (key, value) in configured.chain(more) {
            request = if *key == "response_type" {
                request.set_response_type(&ResponseType::new(value.clone()))
            } else {
                request.add_extra_param(*key, value)
            };
        }
        request.url().0
    }

    /// Trades a code for tokens.
    pub async fn exchange(
        &self,
        code: &SecretString,
        code_verifier: Option<&SecretString>,
        now: OffsetDateTime,
    ) -> Result<ProviderTokens, ProviderError> {
        let client = self.token_client(now);
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_redirect_uri(Cow::Owned(self.redirect_url()));
        if let Some(verifier) = code_verifier {
            request = request
                .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()));
        }
        request.request_async(self).await.map(Into::into).map_err(refused)
    }

    /// Trades a refresh token for tokens (RFC 6749, 6); one that is not replaced stays.
    pub async fn refresh(
        &self,
        refresh_token: SecretString,
        now: OffsetDateTime,
    ) -> Result<ProviderTokens, ProviderError> {
        let client = self.token_client(now);
        let old = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let response = client.exchange_refresh_token(&old).request_async(self).await;
        let mut tokens: ProviderTokens = response.map(Into::into).map_err(refused)?;
        tokens.refresh_token.get_or_insert(refresh_token);
        Ok(tokens)
    }

    /// Reads the profile; of providers that keep addresses apart, those too.
    pub async fn profile(
        &self,
        access_token: &SecretString,
    ) -> Result<ProviderResponses, ProviderError> {
        let profile = self.endpoints.profile.as_ref().ok_or(ProviderError::Unreadable)?;
        let profile = self.get(profile, access_token).await?;
        let emails = match &self.endpoints.emails {
            Some(at) if self.config.provider.source == Source::ProfileAndEmails => {
                unless_refused(self.get(at, access_token).await)?
            }
            _ => Some(Value::Null),
        };
        let hides_emails = emails.is_none();
        let emails = emails.unwrap_or_default();
        Ok(ProviderResponses { profile, emails, hides_emails, form_user: Value::Null })
    }

    /// What the profile endpoint says besides an id token, if this application may see it.
    pub async fn more_claims(
        &self,
        access_token: &SecretString,
    ) -> Result<Option<Value>, ProviderError> {
        let profile = self.endpoints.profile.as_ref().ok_or(ProviderError::Unreadable)?;
        Ok(unless_refused(self.get(profile, access_token).await)?)
    }

    async fn get(&self, at: &Address, access_token: &SecretString) -> Result<Value, ClientError> {
        let mut request =
            self.clients.client(at)?.get(at.url.clone()).bearer_auth(access_token.expose_secret());
        if let Some(header) = self.config.provider.client_id_header {
            request = request.header(header, &self.config.client_id);
        }
        json_response(request.timeout(self.timeout)).await
    }

    fn oauth2(&self) -> OAuth2<EndpointNotSet, EndpointNotSet> {
        Client::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_type(self.auth_style.clone())
    }

    fn token_client(&self, now: OffsetDateTime) -> OAuth2<EndpointNotSet, EndpointSet> {
        let secret = match &self.config.secret {
            ClientSecret::Text(secret) => secret.expose_secret().to_owned(),
            ClientSecret::Apple(key, audience) => {
                let secret = key.client_secret(&self.config.client_id, audience, now);
                secret.expose_secret().to_owned()
            }
        };
        self.oauth2()
            .set_client_secret(oauth2::ClientSecret::new(secret))
            .set_token_uri(TokenUrl::from_url(self.endpoints.token.url.clone()))
    }

    fn redirect_url(&self) -> RedirectUrl {
        RedirectUrl::new(self.redirect_uri.to_owned()).expect("made from an address and a path")
    }

    /// Sends what the crate composed to the token endpoint, and mends the response for it.
    async fn call_token_endpoint(&self, request: HttpRequest) -> Result<HttpResponse, ClientError> {
        let (parts, body) = request.into_parts();
        let response = self
            .clients
            .client(&self.endpoints.token)?
            .post(self.endpoints.token.url.clone())
            .headers(parts.headers)
            .body(body)
            .timeout(self.timeout)
            .send()
            .await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        let body = read(response).await?;
        let (status, body) =
            normalised(status, content_type, &body).ok_or(ClientError::Status(status))?;
        let mut response = HttpResponse::new(body);
        *response.status_mut() =
            http::StatusCode::from_u16(status).map_err(|_| ClientError::Malformed)?;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    /// Announces a sign-in (`OAuth` 1.0a): request token and its secret.
    pub async fn request_token(
        &self,
        callback: &str,
        timestamp_and_nonce: &TimestampAndNonce<'_>,
    ) -> Result<(String, SecretString), ProviderError> {
        let at = self.endpoints.request_token.as_ref().ok_or(ProviderError::Unreadable)?;
        let response = self
            .post_signed(at, None, &[("oauth_callback", callback)], timestamp_and_nonce)
            .await?;
        if response.get("oauth_callback_confirmed").map(String::as_str) != Some("true") {
            return Err(ProviderError::Unreadable);
        }
        token_and_secret(response)
    }

    /// Where people consent (`OAuth` 1.0a).
    pub fn oauth1_authorization_url(&self, request_token: &str) -> Url {
        let mut url = self.endpoints.authorization.clone();
        url.query_pairs_mut().append_pair("oauth_token", request_token);
        url
    }

    /// Trades a verified request token for an access token (`OAuth` 1.0a).
    pub async fn access_token(
        &self,
        request_token: (&str, &SecretString),
        verifier: &str,
        timestamp_and_nonce: &TimestampAndNonce<'_>,
    ) -> Result<ProviderTokens, ProviderError> {
        let more = [("oauth_verifier", verifier)];
        let response = self
            .post_signed(&self.endpoints.token, Some(request_token), &more, timestamp_and_nonce)
            .await?;
        let (token, secret) = token_and_secret(response)?;
        Ok(ProviderTokens {
            access_token: token.into(),
            token_secret: Some(secret),
            refresh_token: None,
            expires_in: None,
            id_token: None,
        })
    }

    /// Reads the profile with a signed request (`OAuth` 1.0a).
    pub async fn oauth1_profile(
        &self,
        token: (&str, &SecretString),
        timestamp_and_nonce: &TimestampAndNonce<'_>,
    ) -> Result<ProviderResponses, ProviderError> {
        let at = self.endpoints.profile.as_ref().ok_or(ProviderError::Unreadable)?;
        let header = oauth1::authorization(
            "GET",
            &at.url,
            &self.credentials(Some(token)),
            &[],
            timestamp_and_nonce,
        );
        let request = self.clients.client(at)?.get(at.url.clone());
        let request = request.header(http::header::AUTHORIZATION, header).timeout(self.timeout);
        Ok(ProviderResponses {
            profile: json_response(request).await?,
            ..ProviderResponses::default()
        })
    }

    fn credentials<'c>(&'c self, token: Option<(&'c str, &'c SecretString)>) -> Credentials<'c> {
        let ClientSecret::Text(consumer_secret) = &self.config.secret else {
            unreachable!("providers of OAuth 1.0a have a secret that is a text")
        };
        Credentials { consumer_key: &self.config.client_id, consumer_secret, token }
    }

    async fn post_signed(
        &self,
        at: &Address,
        token: Option<(&str, &SecretString)>,
        more: &[(&str, &str)],
        timestamp_and_nonce: &TimestampAndNonce<'_>,
    ) -> Result<std::collections::HashMap<String, String>, ProviderError> {
        let header = oauth1::authorization(
            "POST",
            &at.url,
            &self.credentials(token),
            more,
            timestamp_and_nonce,
        );
        let request = self.clients.client(at)?.post(at.url.clone());
        let request = request.header(http::header::AUTHORIZATION, header).timeout(self.timeout);
        let response = request.send().await.map_err(ClientError::from)?;
        if response.status().as_u16() != 200 {
            return Err(ClientError::Status(response.status().as_u16()).into());
        }
        let body = read(response).await?;
        Ok(form_urlencoded::parse(&body).into_owned().collect())
    }
}

impl<'c> AsyncHttpClient<'c> for ProviderClient<'_> {
    type Error = ClientError;
    type Future = BoxFuture<'c, Result<HttpResponse, ClientError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.call_token_endpoint(request))
    }
}

impl From<StandardTokenResponse<IdTokenField, BasicTokenType>> for ProviderTokens {
    fn from(response: StandardTokenResponse<IdTokenField, BasicTokenType>) -> Self {
        Self {
            access_token: response.access_token().secret().as_str().into(),
            token_secret: None,
            refresh_token: response.refresh_token().map(|token| token.secret().as_str().into()),
            expires_in: response.expires_in(),
            id_token: response.extra_fields().id_token.as_deref().map(Into::into),
        }
    }
}

/// An application that may not see a part of a profile, or has none to see, goes without it. Other
/// failures may be over in a moment, and whoever signs up meanwhile would be without an address.
fn unless_refused(response: Result<Value, ClientError>) -> Result<Option<Value>, ClientError> {
    match response {
        Err(ClientError::Status(403 | 404)) => Ok(None),
        response => response.map(Some),
    }
}

fn token_and_secret(
    response: std::collections::HashMap<String, String>,
) -> Result<(String, SecretString), ProviderError> {
    let mut response = response;
    let mut member = |name: &str| response.remove(name).filter(|text| !text.is_empty());
    let (token, secret) = (member("oauth_token"), member("oauth_token_secret"));
    token.zip(secret).map(|(token, secret)| (token, secret.into())).ok_or(ProviderError::Unreadable)
}

fn refused(
    error: RequestTokenError<ClientError, StandardErrorResponse<BasicErrorResponseType>>,
) -> ProviderError {
    match error {
        RequestTokenError::ServerResponse(response) => {
            let code = response.error().as_ref().escape_debug().take(MAX_CODE).collect();
            ProviderError::Refused(code)
        }
        RequestTokenError::Request(error) => error.into(),
        // Both carry the response, which may hold tokens.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => ProviderError::Unreadable,
    }
}
