//! `POST /signin/mfa/totp`: verifySignInMfaTotp.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::mfa::sign_in_mfa_totp::sign_in_mfa_totp;
use crate::http::ApiRequest;
use crate::http::input::code_field::CodeField;
use crate::http::input::extract::read_json;
use crate::http::input::fields::MfaTicketField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInMfaTotpRequest {
    ticket: MfaTicketField,
    otp: CodeField,
}

/// Responds with the session for which the password alone was not enough.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInMfaTotpRequest = read_json(&request)?;
    let client = request.client_ip;
    let session = sign_in_mfa_totp(&app, body.ticket.as_str(), body.otp.as_str(), client).await?;
    session_payload(Some(&session))
}
