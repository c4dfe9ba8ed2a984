//! `GET /signin/provider/{provider}`: signInProvider.

use std::sync::Arc;

use super::shared::depart;
use crate::app::App;
use crate::http::ApiRequest;
use crate::http::pipeline::router::HandlerResult;

/// Sends the browser to the provider.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    depart(&app, &request, false).await
}
