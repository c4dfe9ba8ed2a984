//! `GET /version`: getVersion.

use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// The version of this build.
pub async fn get(_app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&Version { version: env!("CARGO_PKG_VERSION") })
}
