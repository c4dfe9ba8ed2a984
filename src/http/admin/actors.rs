//! `GET /ops/actors`: the supervision tree.

use std::sync::Arc;

use super::Admin;
use super::report::TreeReport;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

/// Everything that is known of every actor.
pub async fn get(admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&TreeReport::of(&admin.app))
}
