//! The span of a request, for traces; without a collector it is none and costs a look.

use std::sync::LazyLock;

use http::StatusCode;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::router::RouteInfo;
use crate::http::ApiRequest;

/// Reads `traceparent` and `tracestate` (W3C).
static PROPAGATOR: LazyLock<TraceContextPropagator> = LazyLock::new(TraceContextPropagator::new);

/// Opens the span of a request to `route`, below the caller's span if it names one.
///
/// It holds the route's pattern, never the path or the query, which may carry tickets.
pub fn of_request(route: &RouteInfo, request: &ApiRequest) -> Span {
    let span = tracing::info_span!(
        "request",
        otel.name = Empty,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = route.method.as_str(),
        http.route = route.path,
        http.response.status_code = Empty,
        client.address = %request.client_ip,
        request.id = request.request_id.as_str(),
    );
    if span.is_disabled() {
        return span;
    }
    span.record("otel.name", format!("{} {}", route.method, route.path));
    let caller = PROPAGATOR.extract(&HeaderExtractor(&request.headers));
    if caller.span().span_context().is_valid() {
        // Fails only if the span has begun, which it has not.
        let _ = span.set_parent(caller);
    }
    span
}

/// Notes the response.
pub fn responded(span: &Span, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}
