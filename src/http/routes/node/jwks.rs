//! `GET /.well-known/jwks.json`: getJWKs.

use std::sync::Arc;

use http::HeaderValue;
use http::header::CACHE_CONTROL;

use crate::app::App;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Short enough that a new key is known before it signs, long enough to spare requests.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Every published key.
pub async fn get(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    let keys = app.keys.load();
    Ok(ApiResponse::raw_json(keys.jwks_json().to_owned()).with_header(CACHE_CONTROL, CACHE))
}
