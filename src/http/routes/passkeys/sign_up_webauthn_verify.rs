//! `POST /signup/webauthn/verify`: verifySignUpWebauthn.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::flows::passkeys::sign_up_webauthn;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{NicknameField, Object, not_null, not_null_object};
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::input::webauthn::CreatedCredential;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignUpWebauthnVerifyRequest {
    credential: Object<CreatedCredential>,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    nickname: Option<NicknameField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

/// Responds with `{}` while the address waits for verification.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignUpWebauthnVerifyRequest = read_json(&request)?;
    let attestation = body.credential.0.into_registration()?;
    let options = body.options.unwrap_or_default().checked(&app, body.code_challenge)?;
    let nickname = body.nickname.as_ref().map_or("", NicknameField::as_str);
    let session = sign_up_webauthn::finish(&app, &attestation, options, nickname).await?;
    session_payload(session.as_ref())
}
