//! The innermost service: reads the body, calls the handler, and turns every outcome into a reply.

use std::any::Any;
use std::convert::Infallible;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Version};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};
use tower::Service;
use tracing::Instrument as _;

use super::router::Handler;
use super::span;
use crate::domain::error::{AuthError, ErrorCode};
use crate::http::message::call::{Call, Reply, Routed};
use crate::http::message::error::code_response;
use crate::http::message::route::{Found, Missed};
use crate::http::{ApiRequest, ApiResponse, RequestId, Router, error_response};
use crate::metrics::http::{Failure, RouteStats};

/// Any error of a body.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Calls the handlers of a router; cheap to clone.
pub struct Dispatch<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    router: Arc<Router<S>>,
    state: Arc<S>,
    bounds: RequestBounds,
    conceal_errors: Box<dyn Fn() -> bool + Send + Sync>,
}

/// Bounds on one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestBounds {
    /// `AUTH_HTTP_MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `AUTH_HTTP_REQUEST_TIMEOUT`, from the end of the head to the reply.
    pub request_timeout: Duration,
}

impl<S> Dispatch<S> {
    /// `conceal_errors` is asked at each failure, since the setting may change while running.
    pub fn new(
        router: Arc<Router<S>>,
        state: Arc<S>,
        bounds: RequestBounds,
        conceal_errors: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let conceal_errors = Box::new(conceal_errors);
        Self { shared: Arc::new(Shared { router, state, bounds, conceal_errors }) }
    }
}

impl<S> Clone for Dispatch<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S, B> Service<Routed<B>> for Dispatch<S>
where
    S: Send + Sync + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, routed: Routed<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let Routed { call: Call { request, request_id, client_ip }, route } = routed;
        let (head, body) = request.into_parts();
        let version = head.version;
        let request = ApiRequest::of_head(head, client_ip, request_id);
        Box::pin(async move { Ok(shared.respond(route, request, version, body).await.into()) })
    }
}

impl<S: Send + Sync + 'static> Shared<S> {
    async fn respond<B>(
        &self,
        route: Result<Found, Missed>,
        mut request: ApiRequest,
        version: Version,
        body: B,
    ) -> ApiResponse
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let started = Instant::now();
        let unmatched = &self.router.stats().unmatched;
        match route {
            Ok(mut found) => {
                request.params = mem::take(&mut found.params);
                request.prefix_length = found.prefix_length;
                let (route, stats) = self.router.route(&found);
                let watch = stats.watch(started.into_std());
                let span = span::of_request(route, &request);
                let handler = self.router.handler(&found);
                // Pinned here and below, where it is made: wrapped futures are moved, which copies them.
                let work = pin!(self.handle(handler, request, version, body, started));
                let response = work.instrument(span.clone()).await;
                span::responded(&span, response.status);
                watch.responded(response.status);
                response
            }
            Err(Missed::Path) => watched(unmatched, started, code_response(ErrorCode::NotFound)),
            Err(Missed::Host) => {
                watched(unmatched, started, code_response(ErrorCode::MisdirectedRequest))
            }
            Err(Missed::Method { allow }) => {
                let response = code_response(ErrorCode::MethodNotAllowed);
                watched(unmatched, started, response.with_header(ALLOW, allow))
            }
        }
    }

    async fn handle<B>(
        &self,
        handler: &dyn Handler<S>,
        mut request: ApiRequest,
        version: Version,
        body: B,
        started: Instant,
    ) -> ApiResponse
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let deadline = started + self.bounds.request_timeout;
        let request_id = request.request_id.clone();
        let is_read = AtomicBool::new(false);
        let work = pin!(async {
            let body = read_body(body, self.bounds.max_body_bytes).await;
            request.body = body.map_err(Failed::Unread)?;
            is_read.store(true, Ordering::Relaxed);
            // The closure is inside the barrier too: a handler may panic before its first await.
            let call = async { handler.call(Arc::clone(&self.state), request).await };
            AssertUnwindSafe(call)
                .catch_unwind()
                .await
                .map_err(Failed::Panicked)?
                .map_err(Failed::Refused)
        });
        // One timer for both: a timer costs as much as parsing the head.
        let failed = match timeout_at(deadline, work).await {
            Ok(Ok(response)) => {
                if let Some(failure) = response.failure {
                    self.router.stats().failed_by(failure);
                }
                return response;
            }
            Ok(Err(failed)) => failed,
            Err(_) if is_read.load(Ordering::Relaxed) => Failed::Late,
            Err(_) => Failed::Unread(ErrorCode::RequestTimeout.into()),
        };
        let error = match failed {
            Failed::Refused(error) => error,
            Failed::Unread(error) => return unread(&error, version, &request_id),
            Failed::Late => {
                self.router.stats().failed_by(Failure::Deadline);
                let error = AuthError::unavailable("a response within the request's time");
                return error_response(&error, false, &request_id);
            }
            Failed::Panicked(panic) => {
                let panic = panic_message(&*panic);
                tracing::error!(%request_id, panic, "a handler panicked");
                self.router.stats().failed_by(Failure::Panic);
                return code_response(ErrorCode::InternalServerError);
            }
        };
        self.router.stats().failed(&error);
        error_response(&error, (self.conceal_errors)(), &request_id)
    }
}

/// The response to a request for which there is no handler.
fn watched(stats: &RouteStats, started: Instant, response: ApiResponse) -> ApiResponse {
    stats.watch(started.into_std()).responded(response.status);
    response
}

/// Why there is no response yet.
enum Failed {
    /// The body was not read to its end.
    Unread(AuthError),
    Refused(AuthError),
    Late,
    Panicked(Box<dyn Any + Send>),
}

/// The whole body, if it is small enough.
async fn read_body<B>(body: B, limit: usize) -> Result<Bytes, AuthError>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // Refused by its announced length, without reading or asking for any of it.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    let mut body = pin!(body);
    // Most bodies come in one piece, which is taken as it is.
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let incomplete = |_| AuthError::InvalidRequest("the request body is incomplete".to_owned());
        // Trailers mean nothing here.
        let Ok(data) = frame.map_err(incomplete)?.into_data() else { continue };
        if first.len().max(more.len()) + data.len() > limit {
            return Err(ErrorCode::PayloadTooLarge.into());
        }
        if first.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    Ok(if more.is_empty() { first } else { more.freeze() })
}

/// The reply to a request whose body was left unread: over HTTP/1 the connection cannot be used
/// again, and saying so keeps clients from trying.
fn unread(error: &AuthError, version: Version, request_id: &RequestId) -> ApiResponse {
    let response = error_response(error, false, request_id);
    if version >= Version::HTTP_2 {
        return response;
    }
    response.with_header(CONNECTION, HeaderValue::from_static("close"))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
