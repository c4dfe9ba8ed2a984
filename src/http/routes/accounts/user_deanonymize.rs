//! `POST /user/deanonymize`: deanonymizeUser.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::flows::accounts::deanonymize_user::{SignInMethod, deanonymize_user};
use crate::flows::guards::response_padding::pad_concealed;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{PasswordField, TextField, not_null, not_null_object};
use crate::http::input::sign_up_options::SignUpOptionsField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserDeanonymizeRequest {
    sign_in_method: Method,
    email: EmailAddress,
    #[serde(default, deserialize_with = "not_null")]
    password: Option<PasswordField>,
    /// Deprecated; only its type counts.
    #[serde(default, rename = "connection", deserialize_with = "not_null")]
    _connection: Option<TextField>,
    #[serde(default, deserialize_with = "not_null_object")]
    options: Option<SignUpOptionsField>,
    #[serde(default, deserialize_with = "not_null")]
    code_challenge: Option<CodeChallenge>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
enum Method {
    EmailPassword,
    Passwordless,
}

impl TryFrom<String> for Method {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "email-password" => Ok(Self::EmailPassword),
            "passwordless" => Ok(Self::Passwordless),
            _ => Err("one of email-password, passwordless"),
        }
    }
}

/// Turns the anonymous bearer into a registered user.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: UserDeanonymizeRequest = read_json(&request)?;
    let method = match (body.sign_in_method, body.password) {
        (Method::EmailPassword, Some(password)) => {
            SignInMethod::EmailPassword(password.into_secret())
        }
        (Method::EmailPassword, None) => {
            return Err(AuthError::Refused(ErrorCode::InvalidRequest));
        }
        (Method::Passwordless, _) => SignInMethod::Passwordless,
    };
    let options = body.options.unwrap_or_default().checked(&app, body.code_challenge)?;
    let client = request.client_ip;
    let registered = deanonymize_user(&app, request.bearer(), method, &body.email, options, client);
    pad_concealed(&app, Box::pin(registered)).await?;
    Ok(ApiResponse::ok_text())
}
