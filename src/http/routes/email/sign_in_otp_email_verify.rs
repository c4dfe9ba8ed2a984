//! `POST /signin/otp/email/verify`: verifySignInOTPEmail.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::email::verify_sign_in_otp_email::verify_sign_in_otp_email;
use crate::flows::guards::response_padding::pad_response_time;
use crate::http::ApiRequest;
use crate::http::input::code_field::CodeField;
use crate::http::input::extract::read_json;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInOtpEmailVerifyRequest {
    otp: CodeField,
    email: EmailAddress,
}

/// Responds with a session for a mailed code.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInOtpEmailVerifyRequest = read_json(&request)?;
    let (email, code) = (&body.email, body.otp.as_str());
    let session =
        pad_response_time(&app, verify_sign_in_otp_email(&app, email, code, request.client_ip))
            .await?;
    session_payload(Some(&session))
}
