//! Postmark: mail by its HTTP API, with templates that the operator keeps there.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use tokio::time::timeout;
use url::Url;

use super::ClientError;

/// Postmark.
#[derive(Clone, Debug)]
pub struct PostmarkConfig {
    /// `AUTH_SMTP_PASS`.
    pub token: SecretString,
    /// `AUTH_POSTMARK_URL` (ours).
    pub url: Url,
    /// `AUTH_POSTMARK_TIMEOUT` (ours).
    pub timeout: Duration,
}

/// A mail with a template of the server that the token belongs to.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplatedMail<'a, Model> {
    /// `<locale>.<template>`.
    pub template_alias: String,
    pub template_model: Model,
    pub from: &'a str,
    pub to: &'a str,
}

/// A mail that needs no template.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RenderedMail<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub subject: &'a str,
    pub html_body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_body: Option<&'a str>,
}

/// Hands a mail over that Postmark renders.
pub async fn send<Model: Serialize + Sync>(
    client: &reqwest::Client,
    config: &PostmarkConfig,
    mail: &TemplatedMail<'_, Model>,
) -> Result<(), ClientError> {
    post(client, config, "email/withTemplate", mail).await
}

/// Hands a mail over that is rendered.
pub async fn send_rendered(
    client: &reqwest::Client,
    config: &PostmarkConfig,
    mail: &RenderedMail<'_>,
) -> Result<(), ClientError> {
    post(client, config, "email", mail).await
}

async fn post<Mail: Serialize + Sync>(
    client: &reqwest::Client,
    config: &PostmarkConfig,
    path: &str,
    mail: &Mail,
) -> Result<(), ClientError> {
    let url = format!("{}/{path}", config.url.as_str().trim_end_matches('/'));
    let request = client
        .post(url)
        .header("x-postmark-server-token", config.token.expose_secret())
        .json(mail)
        .send();
    let response = timeout(config.timeout, request).await.map_err(|_| ClientError::TimedOut)??;
    match response.status().as_u16() {
        200 => Ok(()),
        status => Err(ClientError::Status(status)),
    }
}
