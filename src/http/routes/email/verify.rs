//! `GET /verify`: verifyTicket.

use std::sync::Arc;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::flows::email::verify_ticket::{LinkVisitor, verify_ticket};
use crate::http::input::browser_cookies::find_link;
use crate::http::input::code_challenge::code_challenge;
use crate::http::input::extract::read_query;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Values of the deprecated `type`, which is checked and otherwise ignored.
const TYPES: [&str; 5] =
    ["emailVerify", "emailConfirmChange", "emailChangeUndo", "signinPasswordless", "passwordReset"];

/// Responds with a redirect that has a session or the reason why there is none.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let query = read_query(&request);
    let ticket = query.required("ticket")?;
    let redirect_to = query.required("redirectTo")?;
    if let Some(link_type) = query.optional("type")?
        && !TYPES.contains(&link_type)
    {
        return Err(AuthError::InvalidRequest(format!("type: one of {}", TYPES.join(", "))));
    }
    let visitor = LinkVisitor {
        browser: find_link(&request),
        bearer: request.bearer().map(ToOwned::to_owned),
        code_challenge: code_challenge(&query)?,
    };
    let location = verify_ticket(&app, ticket, redirect_to, &visitor).await?;
    ApiResponse::redirect(&location)
}
