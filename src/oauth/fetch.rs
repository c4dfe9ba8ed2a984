//! Reads JSON documents of providers, bounded in time and in bytes.

use std::future::Future;
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use serde::de::DeserializeOwned;

use crate::clients::{Address, Network, OutsideError, read};

/// Reads a public JSON document.
pub(super) async fn get_json<T: DeserializeOwned>(
    network: &Network,
    timeout: Duration,
    at: &Address,
) -> Result<T, OutsideError> {
    json_response(network.client(at)?.get(at.url.clone()).timeout(timeout)).await
}

/// The JSON of a response with status 200.
pub(super) fn json_response<T: DeserializeOwned>(
    request: reqwest::RequestBuilder,
) -> impl Future<Output = Result<T, OutsideError>> + Send {
    let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
    async move {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(OutsideError::Status(status));
        }
        serde_json::from_slice(&read(answer).await?).map_err(|_| OutsideError::Malformed)
    }
}
