//! `POST /link/provider/{provider}`: an address at which a signed-in user adds an identity.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shared::{provider_of, redirect_cookie};
use crate::app::App;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::providers::start::{SignInRequest, begin_link};
use crate::http::input::extract::read_optional_json;
use crate::http::input::fields::{TextField, not_null, not_null_object};
use crate::http::input::request_origin::request_origin;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LinkProviderRequest {
    #[serde(default, deserialize_with = "not_null")]
    redirect_to: Option<TextField>,
    #[serde(default, deserialize_with = "not_null")]
    state: Option<TextField>,
    #[serde(default, deserialize_with = "not_null_object")]
    provider_specific_params: Option<ProviderSpecificParams>,
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

/// Unlike `connect` of the start route it needs no access token in any address. The response sets a
/// cookie, so a script has to ask with credentials.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let provider = provider_of(&request)?;
    let body: LinkProviderRequest = read_optional_json(&request)?.unwrap_or_default();
    let text = |field: Option<TextField>| {
        field.map(TextField::into_string).filter(|text| !text.is_empty())
    };
    let specific = body.provider_specific_params.unwrap_or_default();
    let wanted = SignInRequest {
        provider: &provider,
        is_sign_up: false,
        connect: request.bearer(),
        origin: request_origin(&request.headers),
        client: request.client_ip,
        options: SignUpOptions {
            redirect_to: body.redirect_to.map(TextField::into_string),
            ..SignUpOptions::default()
        },
        client_state: body.state.map(TextField::into_string),
        organization: text(specific.organization),
        connection: text(specific.connection),
        wants_tokens: body.provider_tokens,
    };
    let redirect = begin_link(&app, wanted).await?;
    let cookie = redirect_cookie(&app, &provider, &redirect.state);
    Ok(ApiResponse::json(&LinkProviderResponse { url: &redirect.location })?.with_cookie(&cookie))
}
