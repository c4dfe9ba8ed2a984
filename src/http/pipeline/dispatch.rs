//! The innermost service: reads the body, calls the handler, and turns every outcome into a reply.

use std::any::Any;
use std::convert::Infallible;
use std::mem;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, Version};
use http_body_util::BodyExt as _;
use hyper::body::Body;
use tokio::time::{Instant, timeout_at};
use tower::Service;
use tracing::Instrument as _;

use super::content_coding::foreign_coding;
use super::router::Handler;
use super::span;
use crate::domain::error::{AuthError, ErrorCode};
use crate::http::bounds::byte_budget::{ByteBudget, FREE_BYTES, Held};
use crate::http::layers::client_address::TrustedProxies;
use crate::http::message::call::{Call, Reply, Routed};
use crate::http::message::error::{code_response, unsupported_coding};
use crate::http::message::route::{BodySize, Found, Missed};
use crate::http::{ApiRequest, ApiResponse, Router, error_response};
use crate::metrics::http::{Failure, RouteStats};
use crate::telemetry::pace::Pace;

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
    budget: Option<Budget>,
    no_room: Pace,
    conceal_errors: Box<dyn Fn() -> bool + Send + Sync>,
}

/// What bodies may take together, and who has no share of it.
type Budget = (Arc<ByteBudget>, TrustedProxies);

/// The most that a body has on routes that take no metadata.
const ORDINARY_BODY_BYTES: usize = 64 * 1_024;

/// Bounds on one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestBounds {
    /// `AUTH_HTTP_MAX_BODY_BYTES`.
    pub max_body_bytes: usize,
    /// `AUTH_HTTP_REQUEST_TIMEOUT`, from the end of the head to the reply.
    pub request_timeout: Duration,
}

impl<S> Dispatch<S> {
    /// Without a budget only the size of single bodies is bounded.
    ///
    /// `conceal_errors` is asked at each failure, since the setting may change while running.
    pub fn new(
        router: Arc<Router<S>>,
        state: Arc<S>,
        bounds: RequestBounds,
        budget: Option<Budget>,
        conceal_errors: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let conceal_errors = Box::new(conceal_errors);
        let no_room = Pace::default();
        let shared = Shared { router, state, bounds, budget, no_room, conceal_errors };
        Self { shared: Arc::new(shared) }
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
        let is_probe = route.as_ref().is_ok_and(|found| found.rules.is_probe);
        Box::pin(async move {
            let response = shared.respond(route, request, version, body).await;
            if is_probe {
                return Ok(response.into());
            }
            Ok(shared.within_budget(response, version, client_ip))
        })
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
                let limit = match found.rules.body {
                    BodySize::Ordinary => self.bounds.max_body_bytes.min(ORDINARY_BODY_BYTES),
                    BodySize::WithMetadata => self.bounds.max_body_bytes,
                };
                let body = Unread { body, limit };
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
            Err(Missed::Prefetch) => {
                watched(unmatched, started, code_response(ErrorCode::PrefetchRefused))
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
        body: Unread<B>,
        started: Instant,
    ) -> ApiResponse
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if !body.body.is_end_stream()
            && let Some(coding) = foreign_coding(&request.headers)
        {
            return closing(unsupported_coding(&coding), version);
        }
        let deadline = started + self.bounds.request_timeout;
        let request_id = request.request_id.clone();
        let is_read = AtomicBool::new(false);
        let work = pin!(async {
            let hold = || self.hold(request.client_ip);
            let (body, _held) = read_body(body, hold).await?;
            request.body = body;
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
            Failed::Unread(error) => {
                return closing(error_response(&error, false, &request_id), version);
            }
            Failed::NoRoom => return closing(self.no_room(), version),
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

impl<S: Send + Sync + 'static> Shared<S> {
    /// What a client has of the budget, nothing yet.
    fn hold(&self, client_ip: IpAddr) -> Option<Held> {
        let (budget, proxies) = self.budget.as_ref()?;
        Some(budget.hold(proxies.client_network(client_ip)))
    }

    /// The reply; its body counts until the connection has sent it.
    ///
    /// Over HTTP/2 small ones count, too: a connection has hundreds of them.
    fn within_budget(&self, response: ApiResponse, version: Version, client_ip: IpAddr) -> Reply {
        let length = response.body.len();
        let free = if version < Version::HTTP_2 { FREE_BYTES } else { 0 };
        if length <= free {
            return response.into();
        }
        let Some(mut held) = self.hold(client_ip) else { return response.into() };
        if !held.grow(length) {
            return self.no_room().into();
        }
        let mut reply = Reply::from(response);
        reply.extensions_mut().insert(Arc::new(held));
        reply
    }

    fn no_room(&self) -> ApiResponse {
        self.router.stats().no_room.increment();
        if let Some(count) = self.no_room.event() {
            tracing::warn!(count, "requests refused, bodies take up AUTH_HTTP_BODY_BUDGET_MIB");
        }
        code_response(ErrorCode::ServiceUnavailable)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
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
    /// The body did not fit into the budget.
    NoRoom,
    Refused(AuthError),
    Late,
    Panicked(Box<dyn Any + Send>),
}

/// A body before it is read, and the most that it may have.
struct Unread<B> {
    body: B,
    limit: usize,
}

/// The whole body, if it is small enough and fits into the budget, of which it holds its part.
async fn read_body<B>(
    unread: Unread<B>,
    nothing_held: impl FnOnce() -> Option<Held>,
) -> Result<(Bytes, Option<Held>), Failed>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let Unread { body, limit } = unread;
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let too_large = || Failed::Unread(ErrorCode::PayloadTooLarge.into());
    // Refused by its announced length, without reading or asking for any of it.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(too_large());
    }
    let mut body = pin!(body);
    // Most bodies come in one piece, which is taken as it is.
    let mut first = loop {
        match next_piece(&mut body).await? {
            None => return Ok((Bytes::new(), None)),
            Some(piece) if piece.is_empty() => {}
            Some(piece) => break piece,
        }
    };
    if first.len() > limit {
        return Err(too_large());
    }
    if first.len() <= FREE_BYTES && body.is_end_stream() {
        return Ok((first, None));
    }
    let mut held = nothing_held();
    let mut more = |bytes| {
        if held.as_mut().is_none_or(|held| held.grow(bytes)) { Ok(()) } else { Err(Failed::NoRoom) }
    };
    more(first.len())?;
    let (mut whole, mut counted) = (Vec::new(), first.len());
    while !body.is_end_stream() {
        let Some(piece) = next_piece(&mut body).await? else { break };
        let length = first.len().max(whole.len()) + piece.len();
        if length > limit {
            return Err(too_large());
        }
        if length > whole.capacity() {
            let capacity = length.max(2 * whole.capacity()).min(limit);
            more(capacity.saturating_sub(counted))?;
            counted = counted.max(capacity);
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&mem::take(&mut first));
        whole.extend_from_slice(&piece);
    }
    Ok((if whole.is_empty() { first } else { whole.into() }, held))
}

/// What comes next of a body; trailers mean nothing here.
async fn next_piece<B>(body: &mut Pin<&mut B>) -> Result<Option<Bytes>, Failed>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    let Some(frame) = body.frame().await else { return Ok(None) };
    let incomplete =
        |_| Failed::Unread(AuthError::InvalidRequest("the request body is incomplete".to_owned()));
    Ok(Some(frame.map_err(incomplete)?.into_data().unwrap_or_default()))
}

/// The response to a request whose body was left unread: over HTTP/1 the connection cannot be used
/// again, and saying so keeps clients from trying.
fn closing(response: ApiResponse, version: Version) -> ApiResponse {
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
