//! `POST /signin/passwordless/sms`: signInPasswordlessSms.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::app::App;
use crate::flows::guards::response_padding::pad_to;
use crate::flows::sms::sign_in_passwordless_sms::sign_in_passwordless_sms;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{TextField, not_null_object};
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Longer than a provider of SMS usually takes, which is asked for known numbers only where sign-up is
/// disabled.
const PROVIDER_TIME: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInPasswordlessSmsRequest {
    phone_number: TextField,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
}

/// Sends a code by SMS.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInPasswordlessSmsRequest = read_json(&request)?;
    let options = body.options.unwrap_or_default().checked(&app, None)?;
    // Only with concealment is the response the same for everybody, and worth the wait.
    let step = if app.config().server.conceal_errors { PROVIDER_TIME } else { Duration::ZERO };
    let sent = sign_in_passwordless_sms(&app, body.phone_number.as_str(), options);
    pad_to(step, sent).await?;
    Ok(ApiResponse::ok_text())
}
