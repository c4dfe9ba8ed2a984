//! `GET|HEAD /healthz` (ready?) and `/livez` (alive?).

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// How long Postgres may take to respond on a ready node.
const DEADLINE: Duration = Duration::from_secs(2);

/// Below the prefix: `"OK"`.
pub async fn get(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    check(&app).await?;
    Ok(ApiResponse::ok_text())
}

/// Outside a prefix the reference sends another body
/// (docs/reference-behaviour.md#two-health-bodies).
pub async fn get_outside_prefix(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    #[derive(Serialize)]
    struct Status {
        status: &'static str,
    }
    check(&app).await?;
    ApiResponse::json(&Status { status: "ok" })
}

/// The status alone.
pub async fn head(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    check(&app).await?;
    Ok(ApiResponse::empty(StatusCode::OK))
}

/// The process responds; nothing is said of what it depends on.
pub async fn live(_app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::empty(StatusCode::OK))
}

/// Ready: every actor runs, Postgres responds, and the node was not signalled to end.
async fn check(app: &App) -> Result<(), AuthError> {
    if app.drain.phase().is_draining() {
        return Err(AuthError::unavailable("a node that is about to end"));
    }
    if !app.tree.is_standing() {
        return Err(AuthError::unavailable("supervision tree"));
    }
    match tokio::time::timeout(DEADLINE, app.ping.ping(&app.pool)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            tracing::warn!(error = &*error as &dyn std::error::Error, "not ready");
            Err(AuthError::unavailable("postgres"))
        }
        Err(_elapsed) => Err(AuthError::unavailable("postgres")),
    }
}
