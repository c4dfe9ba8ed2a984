//! `GET /version`: getVersion.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::app::App;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Names the cargo profile of the build (`dev`, `release`, `dist`), so that a measurement can say
/// what it measured.
pub const PROFILE: HeaderName = HeaderName::from_static("x-keywright-profile");

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

/// The version of this build.
pub async fn get(_app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    let body = Version { version: env!("CARGO_PKG_VERSION") };
    let profile = HeaderValue::from_static(env!("KEYWRIGHT_PROFILE"));
    Ok(ApiResponse::json(&body)?.with_header(PROFILE, profile))
}
