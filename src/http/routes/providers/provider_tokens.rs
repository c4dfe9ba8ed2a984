//! `GET /signin/provider/{provider}/callback/tokens` and `POST /token/provider/{provider}`:
//! getProviderTokens and refreshProviderToken.

use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use super::shared::provider_of;
use crate::app::App;
use crate::flows::providers::tokens::{ProviderSession, fetch, refresh};
use crate::http::input::extract::read_json;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshProviderTokenRequest {
    refresh_token: SecretString,
}

/// What the provider issued at the bearer's last sign-in, once.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let provider = provider_of(&request)?;
    respond(&fetch(&app, request.bearer(), &provider).await?)
}

/// Trades a refresh token of the provider.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let provider = provider_of(&request)?;
    let body: RefreshProviderTokenRequest = read_json(&request)?;
    respond(&refresh(&app, request.bearer(), &provider, body.refresh_token).await?)
}

fn respond(tokens: &ProviderSession) -> HandlerResult {
    ApiResponse::json(tokens)
}
