//! `POST /link/provider/{provider}`: an address at which a signed-in user adds an identity.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CACHE_CONTROL, ORIGIN};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::sign_in_provider::{SignInRequest, begin_link};
use crate::http::extract::read_json;
use crate::http::fields::{TextField, not_null};
use crate::http::providers::{departure_cookie, provider_of};
use crate::http::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinkProviderRequest {
    #[serde(default, deserialize_with = "not_null")]
    redirect_to: Option<TextField>,
    #[serde(default, deserialize_with = "not_null")]
    state: Option<TextField>,
    #[serde(default)]
    provider_specific_params: ProviderSpecificParams,
    #[serde(default)]
    provider_tokens: bool,
}

/// `WorkOS` only.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderSpecificParams {
    #[serde(default, deserialize_with = "not_null")]
    organization: Option<TextField>,
    #[serde(default, deserialize_with = "not_null")]
    connection: Option<TextField>,
}

#[derive(Serialize)]
struct LinkProviderResponse<'a> {
    url: &'a str,
}

/// Unlike `connect` of the start route it needs no access token in any address. The answer sets a
/// cookie, so a script has to ask with credentials.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let provider = provider_of(&request)?;
    let body: LinkProviderRequest = read_json(&request)?;
    check_origin(&app, &request, body.redirect_to.as_ref().map(TextField::as_str))?;
    let text = |field: Option<TextField>| {
        field.map(TextField::into_string).filter(|text| !text.is_empty())
    };
    let wanted = SignInRequest {
        provider: &provider,
        is_sign_up: false,
        connect: request.bearer(),
        options: SignUpOptions {
            redirect_to: body.redirect_to.map(TextField::into_string),
            ..SignUpOptions::default()
        },
        client_state: body.state.map(TextField::into_string),
        organization: text(body.provider_specific_params.organization),
        connection: text(body.provider_specific_params.connection),
        wants_tokens: body.provider_tokens,
    };
    let departure = begin_link(&app, wanted).await?;
    let cookie = departure_cookie(&app, &provider, &departure.state);
    Ok(ApiResponse::json(&LinkProviderResponse { url: &departure.location })?
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))
        .with_cookie(&cookie))
}

/// The page that asks has to be one that people are sent back to.
///
/// Answers are readable and cookies are taken from any page, so another's page could plant a sign-in of
/// its own account here, and the browser's user would add their identity to that account (S4).
fn check_origin(
    app: &App,
    request: &ApiRequest,
    redirect_to: Option<&str>,
) -> Result<(), AuthError> {
    // Only pages have an origin.
    let Some(origin) = request.headers.get(ORIGIN) else { return Ok(()) };
    let config = app.config();
    let client_url = config.accounts.redirects.client_url();
    let is_of = |url: &str| {
        url::Url::parse(url).is_ok_and(|url| {
            let own = url.origin();
            // `null` is what pages of nobody say, too.
            own.is_tuple() && own.ascii_serialization().as_bytes() == origin.as_bytes()
        })
    };
    if is_of(client_url) || redirect_to.is_some_and(is_of) {
        return Ok(());
    }
    Err(AuthError::InvalidRequest("Origin: not that of a page to return to".to_owned()))
}
