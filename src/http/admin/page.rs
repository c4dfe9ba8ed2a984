//! `GET /ops`: the nodes to look at, in a page without anything from elsewhere.
//!
//! The page and its parts tell nothing by themselves and are served to everybody; its script asks for
//! the token, keeps it in the session of the browser tab, and reads the rest of `/ops` with it.

use std::sync::Arc;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};

use super::Admin;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};

const PAGE: &str = include_str!("../../../templates/ops/index.html");

/// What the page may do: run its own scripts and ask its own server.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    frame-ancestors 'none'; form-action 'none'; base-uri 'none'";

/// A file of the page.
pub struct Part {
    pub path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// All of them. The library that plots is uPlot, which goes with its licence.
pub const PARTS: [Part; 7] = [
    Part {
        path: "/ops/page/ops.css",
        kind: STYLE,
        text: include_str!("../../../templates/ops/ops.css"),
    },
    Part {
        path: "/ops/page/ops.js",
        kind: SCRIPT,
        text: include_str!("../../../templates/ops/ops.js"),
    },
    Part {
        path: "/ops/page/format.js",
        kind: SCRIPT,
        text: include_str!("../../../templates/ops/format.js"),
    },
    Part {
        path: "/ops/page/plots.js",
        kind: SCRIPT,
        text: include_str!("../../../templates/ops/plots.js"),
    },
    Part {
        path: "/ops/page/settings.js",
        kind: SCRIPT,
        text: include_str!("../../../templates/ops/settings.js"),
    },
    Part {
        path: "/ops/page/uplot.css",
        kind: STYLE,
        text: include_str!("../../../templates/ops/uPlot.min.css"),
    },
    Part {
        path: "/ops/page/uplot.js",
        kind: SCRIPT,
        text: concat!(
            "/*\n",
            include_str!("../../../templates/ops/uPlot.LICENSE"),
            "*/\n",
            include_str!("../../../templates/ops/uPlot.iife.min.js")
        ),
    },
];

/// Whether this is the path of a part.
pub(super) fn is_part(path: &str) -> bool {
    PARTS.iter().any(|part| part.path == path)
}

/// The page.
pub async fn get(_admin: Arc<Admin>, _request: ApiRequest) -> HandlerResult {
    Ok(guarded(ApiResponse::html(PAGE)))
}

/// A part of it.
pub async fn part(_admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    let path = request.path();
    let Some(part) = PARTS.iter().find(|part| part.path == path) else {
        return Ok(ApiResponse::empty(StatusCode::NOT_FOUND));
    };
    let mut response = ApiResponse::empty(StatusCode::OK);
    response.body = part.text.into();
    Ok(guarded(response.with_header(CONTENT_TYPE, HeaderValue::from_static(part.kind))))
}

fn guarded(response: ApiResponse) -> ApiResponse {
    response
        .with_header(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with_header(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with_header(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        // Of the version that runs.
        .with_header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}
