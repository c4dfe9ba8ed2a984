//! `POST /user/webauthn/add`: addSecurityKey.

use std::sync::Arc;

use crate::app::App;
use crate::flows::passkeys::add_security_key;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Options for the browser to make another key for the bearer with.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&add_security_key::begin(&app, request.bearer()).await?)
}
