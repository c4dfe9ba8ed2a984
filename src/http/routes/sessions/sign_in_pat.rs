//! `POST /signin/pat`: signInPAT.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::sessions::sign_in_pat::sign_in_pat;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::input::fields::TokenField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInPatRequest {
    personal_access_token: TokenField,
}

/// A session for a personal access token.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInPatRequest = read_json(&request)?;
    session_payload(Some(&sign_in_pat(&app, &body.personal_access_token.into_token()).await?))
}
