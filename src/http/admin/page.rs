//! `GET /ops`: the tree to look at, in one page without anything from elsewhere.
//!
//! The page tells nothing by itself and is served to everybody; its script asks for the token, keeps
//! it in the session of the browser tab, and reads `/ops/actors` with it.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};

use super::Admin;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

const PAGE: &str = include_str!("../../../templates/ops.html");

/// What the page may do: run its own script and ask its own server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
    connect-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

/// The page.
pub async fn get(_admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::html(PAGE)
        .with_header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
}
