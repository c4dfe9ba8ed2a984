//! `POST /signin/anonymous`: signInAnonymous.

use std::sync::Arc;

use serde::Deserialize;

use crate::app::App;
use crate::flows::accounts::sign_in_anonymous::{AnonymousOptions, sign_in_anonymous};
use crate::http::ApiRequest;
use crate::http::input::extract::read_optional_json;
use crate::http::input::fields::{AnonymousName, LocaleField, MetadataField, not_null};
use crate::http::pipeline::router::HandlerResult;
use crate::http::routes::sessions::payload::session_payload;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInAnonymousRequest {
    #[serde(default, deserialize_with = "not_null")]
    display_name: Option<AnonymousName>,
    #[serde(default, deserialize_with = "not_null")]
    locale: Option<LocaleField>,
    #[serde(default, deserialize_with = "not_null")]
    metadata: Option<MetadataField>,
}

/// The body is optional.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: SignInAnonymousRequest = read_optional_json(&request)?.unwrap_or_default();
    let max_bytes = app.config().accounts.metadata_max_bytes;
    let metadata = body.metadata.map(|metadata| metadata.within(max_bytes, "/metadata"));
    let options = AnonymousOptions {
        display_name: body.display_name.map(AnonymousName::into_string),
        locale: body.locale.map(LocaleField::into_string),
        metadata: metadata.transpose()?,
    };
    session_payload(Some(&sign_in_anonymous(&app, options).await?))
}
