//! `GET /.well-known/jwks.json`: getJWKs.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::CACHE_CONTROL;

use crate::app::App;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Long enough to spare requests.
const LONGEST_CACHE: Duration = Duration::from_mins(5);

/// Short enough that whoever keeps to it has asked several times before a new key signs.
fn cache_control(publish_ahead: Duration) -> HeaderValue {
    let seconds = (publish_ahead / 4).min(LONGEST_CACHE).as_secs();
    HeaderValue::try_from(format!("public, max-age={seconds}")).expect("digits and letters")
}

/// Every published key.
pub async fn get(app: Arc<App>, _request: ApiRequest) -> HandlerResult {
    let jwks = app.keys.load().jwks_json(app.clock.now());
    let cache = cache_control(app.config().tokens.key_publish_ahead);
    Ok(ApiResponse::raw_json(jwks).with_header(CACHE_CONTROL, cache))
}
