//! `POST /change-env`: swaps settings while the server runs (test suites only).

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use crate::app::App;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Serialize)]
struct Changed {
    message: &'static str,
}

#[derive(Serialize)]
struct Refused {
    error: String,
}

/// All or nothing; registered only with `AUTH_ENABLE_CHANGE_ENV=true`.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let changed = app.config.load().with_change_env(&request.body);
    match changed {
        Ok(config) => {
            app.config.store(Arc::new(config));
            ApiResponse::json(&Changed { message: "environment changed successfully" })
        }
        Err(error) => {
            let refused = ApiResponse::json(&Refused { error: error.to_string() })?;
            Ok(refused.with_status(StatusCode::BAD_REQUEST))
        }
    }
}
