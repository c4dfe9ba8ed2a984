//! Cloudflare Turnstile: whether a person stands behind a sign-up.

use http::header::CONTENT_TYPE;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{OutsideError, read};
use crate::config::TurnstileConfig;

#[derive(Serialize)]
struct Question<'a> {
    secret: &'a str,
    response: &'a str,
}

/// What the service says; its status does not matter.
#[derive(Debug, Deserialize)]
pub struct Answer {
    #[serde(default)]
    pub success: bool,
    #[serde(default)]
    pub messages: Vec<String>,
}

/// Asks about one proof.
pub async fn verify(
    client: &reqwest::Client,
    config: &TurnstileConfig,
    proof: &str,
) -> Result<Answer, OutsideError> {
    let question = Question { secret: config.secret.expose_secret(), response: proof };
    let ask = async {
        // Serialised, so that nothing in the proof can become a member of its own.
        let answer = client
            .post(config.url.clone())
            .json(&question)
            .header(CONTENT_TYPE, "application/json")
            .send()
            .await?;
        read(answer).await
    };
    let body = timeout(config.timeout, ask).await.map_err(|_| OutsideError::TimedOut)??;
    serde_json::from_slice(&body).map_err(|_| OutsideError::Malformed)
}
