//! Modica: SMS.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;
use url::Url;

use super::ClientError;

/// `AUTH_SMS_MODICA_*`.
#[derive(Clone, Debug)]
pub struct ModicaConfig {
    pub username: String,
    pub password: SecretString,
    /// `AUTH_SMS_MODICA_URL` (ours).
    pub url: Url,
}

#[derive(Serialize)]
struct Message<'a> {
    destination: &'a str,
    content: &'a str,
}

/// Sends a text.
pub async fn send_message(
    client: &reqwest::Client,
    config: &ModicaConfig,
    limit: Duration,
    to: &str,
    text: &str,
) -> Result<(), ClientError> {
    let url = format!("{}/rest/sms/v2/messages", config.url.as_str().trim_end_matches('/'));
    let request = client
        .post(url)
        .basic_auth(&config.username, Some(config.password.expose_secret()))
        .json(&Message { destination: to, content: text })
        .send();
    let response = timeout(limit, request).await.map_err(|_| ClientError::TimedOut)??;
    match response.status().as_u16() {
        202 => Ok(()),
        status => Err(ClientError::Status(status)),
    }
}
