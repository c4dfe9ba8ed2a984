//! What the routes of sign-in with providers share.

use cookie::Cookie;
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::providers::start::{Refusal, SignInRequest, begin};
use crate::flows::providers::state::StateHandle;
use crate::http::input::browser_cookies::state_cookie;
use crate::http::input::code_challenge::code_challenge;
use crate::http::input::extract::{Parameters, read_query};
use crate::http::input::fields::{DisplayName, LocaleField, MetadataField};
use crate::http::input::request_origin::request_origin;
use crate::http::message::error::error_redirect;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::oauth::providers::{self, custom};

/// The provider that the path names; whether it is on is decided later.
pub fn provider_of(request: &ApiRequest) -> Result<String, AuthError> {
    let id = request.param("provider").unwrap_or_default();
    let id = percent_decode_str(id).decode_utf8_lossy();
    if providers::find(&id).is_some() || custom::is_id(&id) {
        return Ok(id.into_owned());
    }
    Err(AuthError::InvalidRequest("path parameter provider: no such provider".to_owned()))
}

/// Sends a browser off to a provider.
pub async fn depart(app: &App, request: &ApiRequest, is_sign_up: bool) -> HandlerResult {
    let provider = provider_of(request)?;
    let query = read_query(request);
    let text = |name: &str| query.optional(name).map(|text| text.filter(|text| !text.is_empty()));
    let wanted = SignInRequest {
        provider: &provider,
        is_sign_up,
        connect: text("connect")?,
        origin: request_origin(&request.headers),
        client: request.client_ip,
        options: options(app, &query)?,
        client_state: query.optional("state")?.map(ToOwned::to_owned),
        organization: text("organization")?.map(ToOwned::to_owned),
        connection: text("connection")?.map(ToOwned::to_owned),
        wants_tokens: query.optional("providerTokens")? == Some("true"),
    };
    match begin(app, wanted).await {
        Ok(redirect) => {
            let cookie = redirect_cookie(app, &provider, &redirect.state);
            Ok(ApiResponse::redirect(&redirect.location)?.with_cookie(&cookie))
        }
        Err(refusal) => refuse(app, request, refusal),
    }
}

/// What the browser must bring back together with the state.
pub fn redirect_cookie(app: &App, provider: &str, state: &StateHandle) -> Cookie<'static> {
    let config = app.config();
    let (handle, lifetime) = (state.handle.expose_secret(), config.providers.state_lifetime);
    state_cookie(&config.server, provider, handle, &state.browser, lifetime)
}

/// Tells a refusal where it has to be told.
pub fn refuse(app: &App, request: &ApiRequest, refusal: Refusal) -> HandlerResult {
    match refusal {
        Refusal::Response(error) => Err(error),
        Refusal::Redirect { target, error, details } => {
            let details: Vec<(&str, &str)> =
                details.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let conceal = app.config().server.conceal_errors;
            error_redirect(&error, &target, &details, conceal, &request.request_id)
        }
    }
}

fn options(app: &App, query: &Parameters<'_>) -> Result<SignUpOptions, AuthError> {
    let roles = query.optional("allowedRoles")?.map(|roles| {
        roles.split(',').map(str::trim).filter(|role| !role.is_empty()).map(Into::into).collect()
    });
    let max_bytes = app.config().accounts.metadata_max_bytes;
    let metadata = query
        .json::<MetadataField>("metadata")?
        .map(|metadata| metadata.within(max_bytes, "query parameter metadata"));
    Ok(SignUpOptions {
        allowed_roles: roles.filter(|roles: &Vec<String>| !roles.is_empty()),
        default_role: query.optional("defaultRole")?.map(ToOwned::to_owned),
        display_name: query.field::<DisplayName>("displayName")?.map(DisplayName::into_string),
        locale: query.field::<LocaleField>("locale")?.map(LocaleField::into_string),
        metadata: metadata.transpose()?,
        redirect_to: query.optional("redirectTo")?.map(ToOwned::to_owned),
        code_challenge: code_challenge(query)?,
    })
}
