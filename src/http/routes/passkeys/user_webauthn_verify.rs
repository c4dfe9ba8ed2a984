//! `POST /user/webauthn/verify`: verifyAddSecurityKey.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::ids::SecurityKeyId;
use crate::flows::passkeys::add_security_key;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{NicknameField, Object, not_null};
use crate::http::input::webauthn::CreatedCredential;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VerifyAddSecurityKeyRequest {
    credential: Object<CreatedCredential>,
    #[serde(default, deserialize_with = "not_null")]
    nickname: Option<NicknameField>,
}

#[derive(Serialize)]
struct VerifyAddSecurityKeyResponse<'a> {
    id: SecurityKeyId,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
}

/// The bearer's new key.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: VerifyAddSecurityKeyRequest = read_json(&request)?;
    let attestation = body.credential.0.into_registration()?;
    let nickname = body.nickname.as_ref().map(NicknameField::as_str);
    let id = add_security_key::finish(&app, request.bearer(), &attestation, nickname).await?;
    ApiResponse::json(&VerifyAddSecurityKeyResponse { id, nickname })
}
