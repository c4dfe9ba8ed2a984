//! `GET /signin/provider/{provider}`: signInProvider.

use std::sync::Arc;

use crate::app::App;
use crate::http::ApiRequest;
use crate::http::providers::depart;
use crate::http::router::HandlerResult;

/// Sends the browser to the provider.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    depart(&app, &request, false).await
}
