//! `POST /elevate/webauthn`: elevateWebauthn.

use std::sync::Arc;

use crate::app::App;
use crate::flows::passkeys::elevate_webauthn;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Options for the browser to ask for one of the bearer's keys with.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&elevate_webauthn::begin(&app, request.bearer()).await?)
}
