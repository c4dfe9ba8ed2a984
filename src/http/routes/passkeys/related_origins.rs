//! `GET /.well-known/webauthn`: getRelatedOrigins.

use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::domain::error::ErrorCode;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// WebAuthn level 3, 5.11.1.
#[derive(Serialize)]
struct RelatedOrigins {
    origins: Vec<String>,
}

/// The origins outside the domain of passkeys that may use them. Browsers ask for it at the domain
/// itself, so a proxy there has to lead here.
pub async fn get(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    let config = app.config();
    if !config.webauthn.enabled {
        return Err(ErrorCode::NotFound.into());
    }
    let origins: Vec<_> = config.webauthn.relying_party.related_origins().collect();
    if origins.is_empty() {
        return Err(ErrorCode::NotFound.into());
    }
    ApiResponse::json(&RelatedOrigins { origins })
}
