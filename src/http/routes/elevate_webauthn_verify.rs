//! `POST /elevate/webauthn/verify`: verifyElevateWebauthn.

use std::sync::Arc;

use super::session_payload;
use crate::app::App;
use crate::flows::elevate_webauthn;
use crate::http::ApiRequest;
use crate::http::extract::read_json;
use crate::http::router::HandlerResult;
use crate::http::webauthn::AssertionRequest;

/// A session with the elevated claim.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let assertion = read_json::<AssertionRequest>(&request)?.into_assertion()?;
    let session = elevate_webauthn::finish(&app, request.bearer(), &assertion).await?;
    session_payload(Some(&session))
}
