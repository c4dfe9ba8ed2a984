//! `POST /user/password`: changeUserPassword.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::passwords::change_user_password::change_user_password;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{PasswordField, ResetTicketField, not_null};
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserPasswordRequest {
    new_password: PasswordField,
    #[serde(default, deserialize_with = "not_null")]
    ticket: Option<ResetTicketField>,
}

/// Sets a new password, of the bearer or by a ticket.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserPasswordRequest = read_json(&request)?;
    let password = body.new_password.into_secret();
    let ticket = body.ticket.as_ref().map(ResetTicketField::as_str);
    let client = request.client_ip;
    change_user_password(&app, request.bearer(), ticket, &password, client).await?;
    Ok(ApiResponse::ok_text())
}
