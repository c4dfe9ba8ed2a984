//! `POST /user/password/reset`: sendPasswordResetEmail.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::email::EmailAddress;
use crate::flows::guards::response_padding::pad_response_time;
use crate::flows::passwords::send_password_reset_email::send_password_reset_email;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{not_null, not_null_object};
use crate::http::input::sign_up_options::RedirectOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserPasswordResetRequest {
    email: EmailAddress,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<RedirectOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

/// Mails a link by which a new password can be set.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserPasswordResetRequest = read_json(&request)?;
    let return_target = body.options.unwrap_or_default().into_requested_target(body.code_challenge);
    pad_response_time(&app, send_password_reset_email(&app, &body.email, return_target)).await?;
    Ok(ApiResponse::ok_text())
}
