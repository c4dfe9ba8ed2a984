//! `POST /signin/otp/email`: signInOTPEmail.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::email::sign_in_by_mail::{MailedCredential, sign_in_by_mail};
use crate::flows::guards::response_padding::pad_response_time;
use crate::http::input::extract::read_json;
use crate::http::input::fields::not_null_object;
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInOtpEmailRequest {
    email: EmailAddress,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
}

/// Mails a code to sign in with.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInOtpEmailRequest = read_json(&request)?;
    let options = body.options.unwrap_or_default().checked(&app, None)?;
    pad_response_time(&app, sign_in_by_mail(&app, MailedCredential::Code, &body.email, options))
        .await?;
    Ok(ApiResponse::ok_text())
}
