//! `POST /signin/webauthn`: signInWebauthn.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::passkeys::sign_in_webauthn;
use crate::http::input::extract::read_optional_json;
use crate::http::input::fields::not_null;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInWebauthnRequest {
    #[serde(default, deserialize_with = "not_null")]
    email: Option<EmailAddress>,
}

/// Options for the browser to ask for a passkey with.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInWebauthnRequest = read_optional_json(&request)?.unwrap_or_default();
    ApiResponse::json(&sign_in_webauthn::begin(&app, body.email.as_ref()).await?)
}
