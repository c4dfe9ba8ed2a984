//! `POST /signup/webauthn`: signUpWebauthn.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::passkeys::sign_up_webauthn;
use crate::http::input::extract::read_json;
use crate::http::input::fields::not_null_object;
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignUpWebauthnRequest {
    email: EmailAddress,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
}

/// Options for the browser to make a passkey with.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignUpWebauthnRequest = read_json(&request)?;
    let options = body.options.unwrap_or_default().checked(&app, None)?;
    let client = request.client_ip;
    ApiResponse::json(&sign_up_webauthn::begin(&app, &body.email, options, client).await?)
}
