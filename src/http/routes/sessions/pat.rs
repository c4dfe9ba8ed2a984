//! `POST /pat`: createPAT.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::domain::ids::SessionId;
use crate::flows::sessions::create_pat::create_pat;
use crate::http::input::extract::read_json;
use crate::http::input::fields::{DateTimeField, MetadataField, not_null};
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreatePatRequest {
    expires_at: DateTimeField,
    #[serde(default, deserialize_with = "not_null")]
    metadata: Option<MetadataField>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatePatResponse<'a> {
    id: SessionId,
    personal_access_token: &'a str,
}

/// A personal access token of the bearer.
pub async fn post(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    let body: CreatePatRequest = read_json(&request)?;
    let max_bytes = app.config().accounts.metadata_max_bytes;
    let metadata =
        body.metadata.map(|metadata| metadata.within(max_bytes, "/metadata")).transpose()?;
    let expires_at = body.expires_at.utc();
    let new = create_pat(&app, request.bearer(), expires_at, metadata.as_ref()).await?;
    ApiResponse::json(&CreatePatResponse { id: new.id, personal_access_token: new.token.expose() })
}
