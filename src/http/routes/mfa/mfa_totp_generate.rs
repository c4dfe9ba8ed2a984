//! `GET /mfa/totp/generate`: changeUserMfa.

use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde::Serialize;

use crate::app::App;
use crate::flows::mfa::generate_totp::generate_totp;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TotpGenerateResponse<'a> {
    image_url: &'a str,
    totp_secret: &'a str,
}

/// A new secret for the bearer's authenticator application.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let new = generate_totp(&app, request.bearer()).await?;
    ApiResponse::json(&TotpGenerateResponse {
        image_url: new.picture.expose_secret(),
        totp_secret: new.secret.expose_secret(),
    })
}
