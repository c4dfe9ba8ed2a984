//! `/user/webauthn/keys` and `/user/webauthn/keys/{id}`: a user's own keys, beyond the contract.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::SecurityKeyId;
use crate::domain::security_key::ListedKey;
use crate::flows::passkeys::security_keys;
use crate::http::input::extract::read_json;
use crate::http::input::fields::NicknameField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityKey {
    id: SecurityKeyId,
    credential_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<String>,
    transports: Vec<String>,
    /// Unknown for keys that the reference registered, until they are used here.
    #[serde(skip_serializing_if = "Option::is_none")]
    backed_up: Option<bool>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    created_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    last_used_at: Option<OffsetDateTime>,
}

impl From<ListedKey> for SecurityKey {
    fn from(key: ListedKey) -> Self {
        Self {
            id: key.id,
            credential_id: key.credential_id,
            nickname: key.nickname,
            transports: key.transports,
            backed_up: key.backed_up,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecurityKeys {
    security_keys: Vec<SecurityKey>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RenameRequest {
    nickname: NicknameField,
}

/// The bearer's keys.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let keys = security_keys::list(&app, request.bearer()).await?;
    let security_keys = keys.into_iter().map(Into::into).collect();
    ApiResponse::json(&SecurityKeys { security_keys })
}

/// Gives a key another name.
pub async fn patch(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let id = key_id(&request)?;
    let body: RenameRequest = read_json(&request)?;
    security_keys::rename(&app, request.bearer(), id, body.nickname.as_str()).await?;
    Ok(ApiResponse::ok_text())
}

/// Deletes a key, unless it is the last way to sign in.
pub async fn delete(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    security_keys::delete(&app, request.bearer(), key_id(&request)?).await?;
    Ok(ApiResponse::ok_text())
}

fn key_id(request: &ApiRequest) -> Result<Uuid, AuthError> {
    request
        .param("id")
        .and_then(|id| Uuid::try_parse(id).ok())
        .ok_or_else(|| AuthError::InvalidRequest("the path must end in the id of a key".to_owned()))
}
