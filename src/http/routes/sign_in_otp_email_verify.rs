//! `POST /signin/otp/email/verify`: verifySignInOTPEmail.

use std::sync::Arc;

use serde::Deserialize;

use super::session_payload;
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::even_time::evenly;
use crate::flows::verify_sign_in_otp_email::verify_sign_in_otp_email;
use crate::http::ApiRequest;
use crate::http::extract::read_json;
use crate::http::fields::TextField;
use crate::http::router::HandlerResult;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInOtpEmailVerifyRequest {
    otp: TextField,
    email: EmailAddress,
}

/// Answers a session for a mailed code.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInOtpEmailVerifyRequest = read_json(&request)?;
    let (email, code) = (&body.email, body.otp.as_str());
    let session =
        evenly(&app, verify_sign_in_otp_email(&app, email, code, request.client_ip)).await?;
    session_payload(Some(&session))
}
