//! `POST /signup/email-password`: signUpEmailPassword.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::email::EmailAddress;
use crate::flows::passwords::sign_up_email_password::sign_up_email_password;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{PasswordField, not_null, not_null_object};
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignUpEmailPasswordRequest {
    email: EmailAddress,
    password: PasswordField,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

/// Responds with `{}` while the address waits for verification.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignUpEmailPasswordRequest = read_json(&request)?;
    let options = body.options.unwrap_or_default().checked(&app, body.code_challenge)?;
    let password = body.password.into_secret();
    let client = request.client_ip;
    let session = sign_up_email_password(&app, &body.email, &password, options, client).await?;
    session_payload(session.as_ref())
}
