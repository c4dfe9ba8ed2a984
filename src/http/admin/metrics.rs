//! `GET /metrics`: everything for Prometheus, in its text format.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use tokio::time::timeout;

use super::Admin;
use super::exposition::Exposition;
use crate::domain::error::AuthError;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::persistence::outbox;

/// Longest wait for Postgres; without it, what it knows is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// A fresh reading.
pub async fn get(admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    let now = admin.app.clock.now();
    let backlog = timeout(PATIENCE, outbox::backlog(&admin.app.pool, now)).await;
    let exposition = Exposition { admin, backlog: backlog.ok().and_then(Result::ok) };
    // Made for this one reading: the metrics live where they are counted.
    let mut registry = Registry::default();
    registry.register_collector(Box::new(exposition));
    let mut text = String::with_capacity(64 * 1_024);
    prometheus_text::encode(&mut text, &registry)
        .map_err(|error| AuthError::internal("metrics could not be written", error))?;
    let mut response = ApiResponse::empty(http::StatusCode::OK);
    response.body = text.into();
    Ok(response.with_header(CONTENT_TYPE, HeaderValue::from_static(prometheus_text::CONTENT_TYPE)))
}
