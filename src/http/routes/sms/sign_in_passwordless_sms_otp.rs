//! `POST /signin/passwordless/sms/otp`: verifySignInPasswordlessSms.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::sms::verify_sign_in_passwordless_sms::verify_sign_in_passwordless_sms;
use crate::http::ApiRequest;
use crate::http::input::code_field::CodeField;
use crate::http::input::extract::read_json;
use crate::http::input::fields::TextField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInPasswordlessSmsOtpRequest {
    phone_number: TextField,
    otp: CodeField,
}

/// Responds with a session for a code by SMS.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInPasswordlessSmsOtpRequest = read_json(&request)?;
    let (phone, code) = (body.phone_number.as_str(), body.otp.as_str());
    let session = verify_sign_in_passwordless_sms(&app, phone, code, request.client_ip).await?;
    session_payload(Some(&session))
}
