//! `POST /user/mfa`: verifyChangeUserMfa.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::mfa::change_mfa::{MfaChange, change_mfa};
use crate::http::input::code_field::CodeField;
use crate::http::input::extract::read_json;
use crate::http::input::fields::not_null;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserMfaRequest {
    code: CodeField,
    #[serde(default, deserialize_with = "not_null")]
    active_mfa_type: Option<MfaType>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
enum MfaType {
    Totp,
    None,
}

impl TryFrom<String> for MfaType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "totp" => Ok(Self::Totp),
            "" => Ok(Self::None),
            _ => Err("totp, or empty for none"),
        }
    }
}

/// Switches the bearer's second factor on or off.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserMfaRequest = read_json(&request)?;
    let change = match body.active_mfa_type {
        Some(MfaType::Totp) => MfaChange::Activate,
        Some(MfaType::None) | None => MfaChange::Deactivate,
    };
    change_mfa(&app, request.bearer(), change, body.code.as_str(), request.client_ip).await?;
    Ok(ApiResponse::ok_text())
}
