//! Hasura's GraphQL endpoint, which is asked for the data behind custom claims.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ClientError, read};
use crate::domain::custom_claims::CustomClaims;
use crate::domain::exact_json::ExactJson;
use crate::domain::ids::UserId;

const ADMIN_SECRET: HeaderName = HeaderName::from_static("x-hasura-admin-secret");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
struct GraphqlRequest {
    query: String,
    variables: Variables,
}

#[derive(Serialize)]
struct Variables {
    id: UserId,
}

/// Errors next to usable data do not count.
#[derive(Deserialize)]
struct GraphqlResponse {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    user: Option<ExactJson>,
}

/// What the claims need of this user. The caller limits the time.
pub async fn ask(
    client: &reqwest::Client,
    url: &Url,
    admin_secret: &SecretString,
    claims: &CustomClaims,
    user: UserId,
) -> Result<ExactJson, ClientError> {
    let selection = claims.selection().graphql();
    let query = format!("query GetClaims($id: uuid!) {{ user(id:$id) {selection} }}");
    let request = GraphqlRequest { query, variables: Variables { id: user } };
    let mut body = serde_json::to_vec(&request).map_err(|_| ClientError::Malformed)?;
    body.push(b'\n');
    let mut secret =
        HeaderValue::from_str(admin_secret.expose_secret()).map_err(|_| ClientError::Malformed)?;
    secret.set_sensitive(true);
    let response = client
        .post(url.clone())
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, JSON)
        .header(ADMIN_SECRET, secret)
        .body(body)
        .send()
        .await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ClientError::Status(response.status().as_u16()));
    }
    let response: GraphqlResponse =
        serde_json::from_slice(&read(response).await?).map_err(|_| ClientError::Malformed)?;
    response.data.and_then(|data| data.user).ok_or(ClientError::NoData)
}
