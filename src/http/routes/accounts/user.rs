//! `GET /user`: getUser.

use std::sync::Arc;

use crate::app::App;
use crate::flows::accounts::get_user::get_user;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// The bearer's profile.
pub async fn get(app: Arc<App>, request: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::raw_json(get_user(&app, request.bearer()).await?))
}
