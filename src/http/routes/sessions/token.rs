//! `POST /token`: refreshToken.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::sessions::refresh::refresh;
use crate::http::input::extract::read_json;
use crate::http::input::fields::TokenField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshTokenRequest {
    refresh_token: TokenField,
}

/// Responds with the session itself, not wrapped
/// (docs/reference-behaviour.md#refresh-is-a-bare-session).
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: RefreshTokenRequest = read_json(&request)?;
    let session = refresh(&app, body.refresh_token.into_token(), request.client_ip).await?;
    Ok(ApiResponse::raw_json(session.body()))
}
