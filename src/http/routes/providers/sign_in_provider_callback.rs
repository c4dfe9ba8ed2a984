//! `/signin/provider/{provider}/callback`: signInProviderCallbackGet and signInProviderCallbackPost.

use std::sync::Arc;

use super::shared::{provider_of, refuse};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::flows::providers::callback::{Callback, finish};
use crate::http::input::browser_cookies::{find_state, forget_state, link_cookie};
use crate::http::input::extract::{Parameters, read_form, read_query};
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// The provider's response in the query.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let callback = read(&request, &read_query(&request))?;
    arrive(&app, &request, callback).await
}

/// The provider's response as a form that the browser posts.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let callback = read(&request, &read_form(&request)?)?;
    arrive(&app, &request, callback).await
}

/// An id token is not among it: the one that counts comes from the token endpoint
/// (docs/reference-behaviour.md#id-token-of-the-token-response).
fn read(request: &ApiRequest, given: &Parameters<'_>) -> Result<Callback, AuthError> {
    let text = |name: &str| given.optional(name).map(|text| text.map(ToOwned::to_owned));
    let state = given.required("state")?.to_owned();
    Ok(Callback {
        provider: provider_of(request)?,
        browser: find_state(request, &state),
        state,
        code: text("code")?.map(Into::into),
        error: text("error")?,
        error_description: text("error_description")?,
        error_uri: text("error_uri")?,
        oauth_token: text("oauth_token")?,
        oauth_verifier: text("oauth_verifier")?,
        denied: text("denied")?,
        user: text("user")?,
    })
}

async fn arrive(app: &App, request: &ApiRequest, callback: Callback) -> HandlerResult {
    let (provider, handle) = (callback.provider.clone(), callback.state.clone());
    let knew_browser = callback.browser.is_some();
    let finished = finish(app, callback).await;
    // While Postgres is away nothing is used up, so a second try may come.
    let is_over = finished
        .as_ref()
        .err()
        .is_none_or(|refusal| refusal.error().code() != ErrorCode::ServiceUnavailable);
    let config = app.config.load_full();
    let response = match finished {
        Ok(result) => {
            let response = ApiResponse::redirect(&result.location)?;
            match result.browser {
                Some(secret) => response.with_cookie(&link_cookie(&config.server, &secret)),
                None => response,
            }
        }
        Err(refusal) => refuse(app, request, refusal)?,
    };
    if !(knew_browser && is_over) {
        return Ok(response);
    }
    Ok(response.with_cookie(&forget_state(&config.server, &provider, &handle)))
}
