//! `POST /user/email/send-verification-email`: sendVerificationEmail.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::email::EmailAddress;
use crate::flows::email::send_verification_email::send_verification_email;
use crate::flows::guards::response_padding::pad_response_time;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{not_null, not_null_object};
use crate::http::input::sign_up_options::RedirectOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserEmailSendVerificationEmailRequest {
    email: EmailAddress,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<RedirectOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

/// Sends the verification mail (again).
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserEmailSendVerificationEmailRequest = read_json(&request)?;
    let return_target = body.options.unwrap_or_default().into_requested_target(body.code_challenge);
    pad_response_time(&app, send_verification_email(&app, &body.email, return_target)).await?;
    Ok(ApiResponse::ok_text())
}
