//! Hasura's GraphQL endpoint, which is asked for the data behind custom claims.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{OutsideError, read};
use crate::config::HasuraConfig;
use crate::domain::custom_claims::CustomClaims;
use crate::domain::ids::UserId;

const ADMIN_SECRET: HeaderName = HeaderName::from_static("x-hasura-admin-secret");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
struct Question {
    query: String,
    variables: Variables,
}

#[derive(Serialize)]
struct Variables {
    id: UserId,
}

/// Errors next to usable data do not count.
#[derive(Deserialize)]
struct Answer {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    user: Option<Value>,
}

/// What the claims need of this user. The caller limits the time.
pub async fn ask(
    client: &reqwest::Client,
    config: &HasuraConfig,
    url: &Url,
    claims: &CustomClaims,
    user: UserId,
) -> Result<Value, OutsideError> {
    let selection = claims.selection().graphql();
    let query = format!("query GetClaims($id: uuid!) {{ user(id:$id) {selection} }}");
    let question = Question { query, variables: Variables { id: user } };
    let mut body = serde_json::to_vec(&question).map_err(|_| OutsideError::Malformed)?;
    body.push(b'\n');
    let mut secret = HeaderValue::from_str(config.admin_secret.expose_secret())
        .map_err(|_| OutsideError::Malformed)?;
    secret.set_sensitive(true);
    let answer = client
        .post(url.clone())
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, JSON)
        .header(ADMIN_SECRET, secret)
        .body(body)
        .send()
        .await?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(OutsideError::Status(answer.status().as_u16()));
    }
    let answer: Answer =
        serde_json::from_slice(&read(answer).await?).map_err(|_| OutsideError::Malformed)?;
    answer.data.and_then(|data| data.user).ok_or(OutsideError::NoData)
}
