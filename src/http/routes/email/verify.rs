//! `/verify`: verifyTicket and confirmLink.

use std::sync::Arc;

use http::header::{
    ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use crate::app::App;
use crate::config::VerifyLink;
use crate::domain::error::AuthError;
use crate::flows::email::verify_ticket::{LinkVisitor, verify_ticket};
use crate::http::input::browser_cookies::find_link;
use crate::http::input::code_challenge::code_challenge;
use crate::http::input::extract::{Parameters, read_query};
use crate::http::input::languages::languages;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::notify::link_page;
use crate::tokens::ticket::Ticket;

/// Values of the deprecated `type`, which is checked and otherwise ignored.
const TYPES: [&str; 5] =
    ["emailVerify", "emailConfirmChange", "emailChangeUndo", "signinPasswordless", "passwordReset"];

/// What the page may do, which is nothing but to look good. Nothing is said of where its form may
/// lead: browsers take that for the redirect too, which goes to the application.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
);

/// Responds with a redirect that has a session or the reason why there is none; or with a page that
/// asks for a click, by `AUTH_VERIFY_LINK`.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let query = read_query(&request);
    let link = Link::read(&query)?;
    if app.config().server.verify_link == VerifyLink::Confirm {
        return Ok(page(&app, &request, &link));
    }
    ApiResponse::redirect(&follow(&app, &request, &query, &link).await?)
}

/// What the button of the page does.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let query = read_query(&request);
    let link = Link::read(&query)?;
    let location = follow(&app, &request, &query, &link).await?;
    Ok(ApiResponse::redirect(&location)?.with_status(StatusCode::SEE_OTHER))
}

/// What a mailed link has to say.
struct Link<'a> {
    ticket: &'a str,
    redirect_to: &'a str,
}

impl<'a> Link<'a> {
    fn read(query: &'a Parameters<'_>) -> Result<Self, AuthError> {
        let ticket = query.required("ticket")?;
        let redirect_to = query.required("redirectTo")?;
        if let Some(link_type) = query.optional("type")?
            && !TYPES.contains(&link_type)
        {
            return Err(AuthError::InvalidRequest(format!("type: one of {}", TYPES.join(", "))));
        }
        Ok(Self { ticket, redirect_to })
    }
}

async fn follow(
    app: &App,
    request: &ApiRequest,
    query: &Parameters<'_>,
    link: &Link<'_>,
) -> Result<String, AuthError> {
    let visitor = LinkVisitor {
        browser: find_link(request),
        bearer: request.bearer().map(ToOwned::to_owned),
        code_challenge: code_challenge(query)?,
    };
    verify_ticket(app, link.ticket, link.redirect_to, &visitor).await
}

/// Says what the button does, and nothing of whether the link still works.
fn page(app: &App, request: &ApiRequest, link: &Link<'_>) -> ApiResponse {
    let config = app.config();
    let template = Ticket::parse(link.ticket).ok().and_then(|ticket| ticket.kind().template());
    let default = config.accounts.locales.default_locale();
    let wanted = languages(&request.headers).into_iter().chain([default]);
    ApiResponse::html(link_page::page(template, wanted))
        .with_header(CONTENT_SECURITY_POLICY, POLICY)
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with_header(VARY, HeaderValue::from(ACCEPT_LANGUAGE))
}
