//! Hasura's GraphQL endpoint, which is asked for the data behind custom claims.

use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use super::{ClientError, read};
use crate::domain::claim_path::Selection;
use crate::domain::ids::UserId;

const ADMIN_SECRET: HeaderName = HeaderName::from_static("x-hasura-admin-secret");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where Hasura is, and by what it knows us. The callers limit the time.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    pub client: &'a reqwest::Client,
    pub url: &'a Url,
    pub admin_secret: &'a SecretString,
}

#[derive(Serialize)]
struct GraphqlRequest<V> {
    query: String,
    variables: V,
}

#[derive(Deserialize)]
struct GraphqlResponse<D> {
    data: Option<D>,
    errors: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct OneId {
    id: UserId,
}

#[derive(Deserialize)]
struct OneUser {
    user: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct ManyIds<'a> {
    ids: &'a [UserId],
}

#[derive(Deserialize)]
struct ManyUsers {
    users: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct WithId {
    id: UserId,
}

/// What came of a query for many users.
#[derive(Debug)]
pub struct Found {
    /// With their data, as JSON that is shaped as the selection is.
    pub users: Vec<(UserId, Arc<str>)>,
    /// Whether the others are gone; else Hasura has told of errors, and one of them may be why.
    pub is_whole: bool,
}

/// The selected data of this user, as JSON. Errors next to usable data do not count.
pub async fn ask(
    endpoint: Endpoint<'_>,
    selection: &Selection,
    user: UserId,
) -> Result<Arc<str>, ClientError> {
    let selection = selection.graphql();
    let query = format!("query GetClaims($id: uuid!) {{ user(id:$id) {selection} }}");
    let request = GraphqlRequest { query, variables: OneId { id: user } };
    let response: GraphqlResponse<OneUser> = post(endpoint, &request).await?;
    let user = response.data.and_then(|data| data.user).ok_or(ClientError::NoData)?;
    Ok(user.get().into())
}

/// The same of many users, by the list that belongs to the field of one.
pub async fn ask_many(
    endpoint: Endpoint<'_>,
    selection: &Selection,
    users: &[UserId],
) -> Result<Found, ClientError> {
    let selection = selection.graphql();
    // Asked for twice it comes once.
    let fields = selection.trim_start_matches('{');
    let query = format!(
        "query GetClaims($ids: [uuid!]!) {{ users(where:{{id:{{_in:$ids}}}}) {{id {fields} }}"
    );
    let request = GraphqlRequest { query, variables: ManyIds { ids: users } };
    let response: GraphqlResponse<ManyUsers> = post(endpoint, &request).await?;
    let data = response.data.ok_or(ClientError::NoData)?;
    let mut found = Found { users: Vec::new(), is_whole: response.errors.is_none() };
    for user in data.users {
        match serde_json::from_str::<WithId>(user.get()) {
            Ok(WithId { id }) => found.users.push((id, user.get().into())),
            Err(_) => found.is_whole = false,
        }
    }
    Ok(found)
}

async fn post<V: Serialize + Sync, D: DeserializeOwned>(
    endpoint: Endpoint<'_>,
    request: &GraphqlRequest<V>,
) -> Result<GraphqlResponse<D>, ClientError> {
    let mut body = serde_json::to_vec(request).map_err(|_| ClientError::Malformed)?;
    body.push(b'\n');
    let secret = endpoint.admin_secret.expose_secret();
    let mut secret = HeaderValue::from_str(secret).map_err(|_| ClientError::Malformed)?;
    secret.set_sensitive(true);
    let response = endpoint
        .client
        .post(endpoint.url.clone())
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, JSON)
        .header(ADMIN_SECRET, secret)
        .body(body)
        .send()
        .await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(ClientError::Status(response.status().as_u16()));
    }
    serde_json::from_slice(&read(response).await?).map_err(|_| ClientError::Malformed)
}
