//! `POST /signin/email-password`: signInEmailPassword.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::flows::passwords::sign_in_email_password::{SignedIn, sign_in_email_password};
use crate::http::input::extract::read_json;
use crate::http::input::fields::PasswordField;
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInEmailPasswordRequest {
    email: EmailAddress,
    password: PasswordField,
}

#[derive(Serialize)]
struct MfaRequired<'a> {
    mfa: MfaChallenge<'a>,
}

#[derive(Serialize)]
struct MfaChallenge<'a> {
    ticket: &'a str,
}

/// Responds with a session, or the ticket that asks for the second factor.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInEmailPasswordRequest = read_json(&request)?;
    let password = body.password.into_secret();
    match sign_in_email_password(&app, &body.email, &password, request.client_ip).await? {
        SignedIn::Session(session) => session_payload(Some(&session)),
        SignedIn::MfaRequired(ticket) => {
            ApiResponse::json(&MfaRequired { mfa: MfaChallenge { ticket: ticket.expose() } })
        }
    }
}
