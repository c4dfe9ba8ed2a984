//! Cloudflare Turnstile: whether a person stands behind a sign-up.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use url::Url;

use super::{ClientError, read};

/// Cloudflare Turnstile.
#[derive(Clone, Debug)]
pub struct TurnstileConfig {
    pub secret: SecretString,
    /// `AUTH_TURNSTILE_URL` (ours).
    pub url: Url,
    /// `AUTH_TURNSTILE_TIMEOUT` (ours).
    pub timeout: Duration,
}

#[derive(Serialize)]
struct SiteverifyRequest<'a> {
    secret: &'a str,
    response: &'a str,
}

/// What the service says; its status does not matter.
#[derive(Debug, Deserialize)]
pub struct SiteverifyResponse {
    #[serde(default)]
    pub success: bool,
    #[serde(default)]
    pub messages: Vec<String>,
}

/// Asks about one token.
pub async fn verify(
    client: &reqwest::Client,
    config: &TurnstileConfig,
    token: &str,
) -> Result<SiteverifyResponse, ClientError> {
    let request = SiteverifyRequest { secret: config.secret.expose_secret(), response: token };
    let ask = async {
        // Serialised, so that nothing in the token can become a member of its own.
        let response = client
            .post(config.url.clone())
            .json(&request)
            .header(CONTENT_TYPE, "application/json")
            .send()
            .await?;
        read(response).await
    };
    let body = timeout(config.timeout, ask).await.map_err(|_| ClientError::TimedOut)??;
    serde_json::from_slice(&body).map_err(|_| ClientError::Malformed)
}
