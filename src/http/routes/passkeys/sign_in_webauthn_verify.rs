//! `POST /signin/webauthn/verify`: verifySignInWebauthn.

use std::sync::Arc;

use crate::app::App;
use crate::flows::passkeys::sign_in_webauthn;
use crate::http::ApiRequest;
use crate::http::input::extract::read_json;
use crate::http::input::webauthn::AssertionRequest;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

/// A session for the owner of the key.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let assertion = read_json::<AssertionRequest>(&request)?.into_assertion()?;
    let session = sign_in_webauthn::finish(&app, &assertion).await?;
    session_payload(Some(&session))
}
