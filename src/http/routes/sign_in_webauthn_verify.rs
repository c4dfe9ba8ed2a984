//! `POST /signin/webauthn/verify`: verifySignInWebauthn.

use std::sync::Arc;

use super::session_payload;
use crate::app::App;
use crate::flows::sign_in_webauthn;
use crate::http::ApiRequest;
use crate::http::extract::read_json;
use crate::http::router::HandlerResult;
use crate::http::webauthn::AssertionRequest;

/// A session for the owner of the key.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let assertion = read_json::<AssertionRequest>(&request)?.into_assertion()?;
    let session = sign_in_webauthn::finish(&app, &assertion).await?;
    session_payload(Some(&session))
}
