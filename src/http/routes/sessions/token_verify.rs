//! `POST /token/verify`: verifyToken.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::app::App;
use crate::flows::sessions::verify_token::verify_token;
use crate::http::input::extract::read_optional_json;
use crate::http::input::fields::not_null;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerifyTokenRequest {
    #[serde(default, deserialize_with = "not_null")]
    token: Option<SecretString>,
}

/// Verifies the token of the body, else the bearer's.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: VerifyTokenRequest = read_optional_json(&request)?.unwrap_or_default();
    let token = body.token.as_ref().map(SecretString::expose_secret);
    verify_token(&app, token, request.bearer()).await?;
    Ok(ApiResponse::ok_text())
}
