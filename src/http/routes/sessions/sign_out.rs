//! `POST /signout`: signOut.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::app::App;
use crate::domain::error::ErrorCode;
use crate::flows::sessions::sign_out::{sign_out, sign_out_everywhere};
use crate::http::input::extract::read_json;
use crate::http::input::fields::not_null;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// The one request schema of the contract that is open to unknown members.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignOutRequest {
    #[serde(default, deserialize_with = "not_null")]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    all: bool,
}

/// Ends one session, or with `all` and a bearer every one.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignOutRequest = read_json(&request)?;
    if body.all {
        sign_out_everywhere(&app, request.bearer()).await?;
        return Ok(ApiResponse::ok_text());
    }
    match body.refresh_token.as_ref().map(SecretString::expose_secret) {
        None | Some("") => Err(ErrorCode::InvalidRequest.into()),
        Some(token) => {
            sign_out(&app, token, request.bearer()).await?;
            Ok(ApiResponse::ok_text())
        }
    }
}
