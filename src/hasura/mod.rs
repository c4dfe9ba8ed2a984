//! Tells Hasura about schema `auth` at start-up: tracked tables, names, relationships.
//!
//! Idempotent, and never changes what Hasura already has.

pub mod background;
mod tables;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use self::tables::{ENUM_TABLE, RELATIONSHIPS, TABLES, set_enum};
use crate::config::HasuraConfig;
use crate::http_client;

/// The longest time for one call.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to keep trying while Hasura is not up.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The wait after the first failure; doubled each time.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// When to give up, counted from the first call.
    pub total: Duration,
}

impl Retry {
    /// One attempt.
    pub const NONE: Self =
        Self { first: Duration::ZERO, longest: Duration::ZERO, total: Duration::ZERO };
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(10),
            total: Duration::from_mins(2),
        }
    }
}

/// What was new to Hasura.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataReport {
    /// Tables tracked now.
    pub tables: usize,
    /// Relationships created now.
    pub relationships: usize,
}

/// Why Hasura's metadata is not as it should be; names the setting to change.
#[derive(Debug, thiserror::Error)]
pub enum HasuraError {
    #[error("cannot make an HTTP client: {0}")]
    Client(reqwest::Error),
    #[error("HASURA_GRAPHQL_GRAPHQL_URL: no response from {url} in {} s: {cause}", .after.as_secs())]
    Unreachable { url: Box<Url>, after: Duration, cause: String },
    #[error("HASURA_GRAPHQL_ADMIN_SECRET: Hasura refused it (status {status}: {response})")]
    Denied { status: StatusCode, response: String },
    #[error(
        "problem adding metadata for table auth.{table}: status_code: {} response: {response}",
        .status.as_u16()
    )]
    Refused { table: String, status: StatusCode, response: String },
}

/// Makes the metadata calls, waiting for Hasura if it is not up yet; `None` without a URL.
pub async fn apply_metadata(
    config: &HasuraConfig,
    retry: Retry,
) -> Result<Option<MetadataReport>, HasuraError> {
    let Some(hasura) = Hasura::of(config, retry)? else {
        tracing::info!("no Hasura is configured: leaving out its metadata");
        return Ok(None);
    };
    let mut report = MetadataReport::default();
    for table in &TABLES {
        if hasura.call(table.name, &table.track()).await? == Outcome::Done {
            report.tables += 1;
            if table.name == ENUM_TABLE {
                // Only when new: it changes the type of a column that clients may already use.
                extra(ENUM_TABLE, hasura.call(ENUM_TABLE, &set_enum()).await)?;
            }
        }
    }
    for relationship in &RELATIONSHIPS {
        let label = relationship.label();
        let outcome = extra(&label, hasura.call(&label, &relationship.create()).await)?;
        report.relationships += usize::from(outcome == Outcome::Done);
    }
    Ok(Some(report))
}

/// Whether Hasura can be reached and takes the admin secret; `None` without one. Changes nothing.
pub async fn check(config: &HasuraConfig) -> Result<Option<()>, HasuraError> {
    let Some(hasura) = Hasura::of(config, Retry::NONE)? else { return Ok(None) };
    hasura.call("an empty list of calls", &json!({ "type": "bulk", "args": [] })).await?;
    Ok(Some(()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    AlreadyThere,
}

/// What the reference does not do must not stop a start that works with the reference.
fn extra(name: &str, result: Result<Outcome, HasuraError>) -> Result<Outcome, HasuraError> {
    match result {
        Err(HasuraError::Refused { status, response, .. }) => {
            let status = status.as_u16();
            tracing::warn!(name, status, response, "Hasura refused an optional part of metadata");
            Ok(Outcome::AlreadyThere)
        }
        other => other,
    }
}

struct Hasura<'a> {
    client: reqwest::Client,
    url: Url,
    secret: &'a str,
    started: Instant,
    retry: Retry,
}

impl<'a> Hasura<'a> {
    fn of(config: &'a HasuraConfig, retry: Retry) -> Result<Option<Self>, HasuraError> {
        let Some(graphql_url) = &config.graphql_url else { return Ok(None) };
        Ok(Some(Self {
            client: http_client::builder()
                .timeout(CALL_TIMEOUT)
                .build()
                .map_err(HasuraError::Client)?,
            url: metadata_url(graphql_url),
            secret: config.admin_secret.expose_secret(),
            started: Instant::now(),
            retry,
        }))
    }

    /// Repeats a call until Hasura gives a final response or time is up.
    async fn call(&self, name: &str, payload: &Value) -> Result<Outcome, HasuraError> {
        let mut wait = self.retry.first;
        loop {
            let cause = match self.call_once(name, payload).await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(cause)) => cause,
            };
            if self.started.elapsed() + wait >= self.retry.total {
                let after = self.started.elapsed();
                return Err(HasuraError::Unreachable {
                    url: Box::new(self.url.clone()),
                    after,
                    cause,
                });
            }
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(cause, wait_ms, "Hasura does not respond yet: trying again");
            pause(wait).await;
            wait = (wait * 2).min(self.retry.longest);
        }
    }

    async fn call_once(&self, name: &str, payload: &Value) -> Result<Outcome, Failure> {
        let response = self
            .client
            .post(self.url.clone())
            .header("Content-Type", "application/json; charset=UTF-8")
            .header("X-Hasura-Admin-Secret", self.secret)
            .body(payload.to_string())
            .send()
            .await
            .map_err(|error| Failure::Passing(with_causes(&error)))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(Outcome::Done);
        }
        let response =
            response.text().await.map_err(|error| Failure::Passing(with_causes(&error)))?;
        let body: Value = serde_json::from_str(&response).unwrap_or_default();
        let response: String = response.chars().take(500).collect();
        match body["code"].as_str() {
            Some("already-tracked" | "already-exists") => Ok(Outcome::AlreadyThere),
            Some("access-denied" | "invalid-headers") => {
                Err(Failure::Final(HasuraError::Denied { status, response }))
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(Failure::Passing(format!("status {status}: {response}")))
            }
            _ => {
                let table = name.to_owned();
                Err(Failure::Final(HasuraError::Refused { table, status, response }))
            }
        }
    }
}

enum Failure {
    /// Hasura may still be starting.
    Passing(String),
    Final(HasuraError),
}

/// The GraphQL endpoint's sibling; the endpoint itself if it has an unusual path.
fn metadata_url(graphql: &Url) -> Url {
    let text = graphql.as_str().replacen("/v1/graphql", "/v1/metadata", 1);
    text.parse().unwrap_or_else(|_| graphql.clone())
}

/// reqwest's own message hides the reason ("connection refused") in its sources.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when another server comes up")]
async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}
