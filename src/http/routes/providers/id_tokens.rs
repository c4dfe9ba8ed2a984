//! `POST /signin/idtoken`, `/signup/idtoken` and `/link/idtoken`: signInIdToken, signUpIdToken and
//! linkIdToken.

use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

use crate::app::App;
use crate::flows::providers::id_tokens;
use crate::flows::providers::id_tokens::PresentedIdToken;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{TextField, not_null, not_null_object};
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;
use crate::http::{ApiRequest, ApiResponse};

/// `IdTokenProvider` of the contract.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum IdTokenProvider {
    Apple,
    Google,
}

impl TryFrom<String> for IdTokenProvider {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "apple" => Ok(Self::Apple),
            "google" => Ok(Self::Google),
            _ => Err("one of apple, google"),
        }
    }
}

impl IdTokenProvider {
    const fn id(self) -> &'static str {
        match self {
            Self::Apple => "apple",
            Self::Google => "google",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdTokenRequest {
    provider: IdTokenProvider,
    id_token: SecretString,
    #[serde(default, deserialize_with = "not_null")]
    nonce: Option<TextField>,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinkIdTokenRequest {
    provider: IdTokenProvider,
    id_token: SecretString,
    #[serde(default, deserialize_with = "not_null")]
    nonce: Option<TextField>,
}

/// A session for an identity.
pub async fn sign_in(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: IdTokenRequest = read_json(&request)?;
    let presented = presented(body.provider, &body.id_token, body.nonce.as_ref());
    let options = body.options.unwrap_or_default().checked(&app, None)?;
    session_payload(id_tokens::sign_in(&app, &presented, &options).await?.as_ref())
}

/// The same, for those who must not be known yet.
pub async fn sign_up(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: IdTokenRequest = read_json(&request)?;
    let presented = presented(body.provider, &body.id_token, body.nonce.as_ref());
    let options = body.options.unwrap_or_default().checked(&app, None)?;
    session_payload(id_tokens::sign_up(&app, &presented, &options).await?.as_ref())
}

/// Adds the identity to the bearer.
pub async fn link(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: LinkIdTokenRequest = read_json(&request)?;
    let presented = presented(body.provider, &body.id_token, body.nonce.as_ref());
    id_tokens::link(&app, request.bearer(), &presented).await?;
    Ok(ApiResponse::ok_text())
}

fn presented<'a>(
    provider: IdTokenProvider,
    token: &'a SecretString,
    nonce: Option<&'a TextField>,
) -> PresentedIdToken<'a> {
    PresentedIdToken { provider: provider.id(), token, nonce: nonce.map(TextField::as_str) }
}
