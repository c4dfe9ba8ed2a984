//! `POST /token/exchange`: tokenExchange.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::app::App;
use crate::flows::sessions::exchange_code::exchange_code;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenExchangeRequest {
    code: SecretString,
    code_verifier: SecretString,
}

/// A session for the code of a redirect.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: TokenExchangeRequest = read_json(&request)?;
    let (code, verifier) = (body.code.expose_secret(), body.code_verifier.expose_secret());
    session_payload(Some(&exchange_code(&app, code, verifier).await?))
}
