//! `POST /signin/passwordless/sms`: signInPasswordlessSms.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::sign_in_passwordless_sms::sign_in_passwordless_sms;
use crate::http::extract::read_json;
use crate::http::fields::{TextField, not_null_object};
use crate::http::router::HandlerResult;
use crate::http::sign_up_options::SignUpOptionsField;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInPasswordlessSmsRequest {
    phone_number: TextField,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
}

/// Sends a code by SMS.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInPasswordlessSmsRequest = read_json(&request)?;
    let options = body.options.unwrap_or_default().into();
    sign_in_passwordless_sms(&app, body.phone_number.as_str(), options).await?;
    Ok(ApiResponse::ok_text())
}
