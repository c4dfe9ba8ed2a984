//! `POST /elevate/webauthn/verify`: verifyElevateWebauthn.

use std::sync::Arc;

use crate::app::App;
use crate::flows::passkeys::elevate_webauthn;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::input::webauthn::AssertionRequest;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

/// A session with the elevated claim.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let assertion = read_json::<AssertionRequest>(&request)?.into_assertion()?;
    let session = elevate_webauthn::finish(&app, request.bearer(), &assertion).await?;
    session_payload(Some(&session))
}
