//! Reads JSON documents of providers, bounded in time and in bytes.

use std::future::Future;
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use serde::de::DeserializeOwned;

use crate::clients::{Address, ClientError, HttpClients, read};

/// Reads a public JSON document.
pub(super) async fn get_json<T: DeserializeOwned>(
    clients: &HttpClients,
    timeout: Duration,
    at: &Address,
) -> Result<T, ClientError> {
    json_response(clients.client(at)?.get(at.url.clone()).timeout(timeout)).await
}

/// The JSON of a response with status 200.
pub(super) fn json_response<T: DeserializeOwned>(
    request: reqwest::RequestBuilder,
) -> impl Future<Output = Result<T, ClientError>> + Send {
    let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
    async move {
        let response = request.send().await?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(ClientError::Status(status));
        }
        serde_json::from_slice(&read(response).await?).map_err(|_| ClientError::Malformed)
    }
}
