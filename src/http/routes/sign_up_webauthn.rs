//! `POST /signup/webauthn`: signUpWebauthn.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::sign_up_webauthn;
use crate::http::extract::read_json;
use crate::http::fields::not_null_object;
use crate::http::router::HandlerResult;
use crate::http::sign_up_options::SignUpOptionsField;
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
    let options = body.options.unwrap_or_default().into();
    ApiResponse::json(&sign_up_webauthn::begin(&app, &body.email, options).await?)
}
