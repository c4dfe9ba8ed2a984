//! `POST /user/email/change`: changeUserEmail.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::email::EmailAddress;
use crate::flows::email::change_user_email::change_user_email;
use crate::flows::guards::response_padding::pad_concealed;
use crate::http::input::browser_cookies::link_cookie;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{not_null, not_null_object};
use crate::http::input::sign_up_options::RedirectOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserEmailChangeRequest {
    new_email: EmailAddress,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<RedirectOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

/// Mails a link to the bearer's new address.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserEmailChangeRequest = read_json(&request)?;
    let return_target = body.options.unwrap_or_default().into_requested_target(body.code_challenge);
    let changed = change_user_email(&app, request.bearer(), &body.new_email, return_target);
    let browser = pad_concealed(&app, Box::pin(changed)).await?;
    Ok(ApiResponse::ok_text().with_cookie(&link_cookie(&app.config().server, &browser)))
}
