//! Names each request and writes one line about it when it is over.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::client_address::TrustedProxies;
use crate::http::message::call::{Call, Inbound, Reply};
use crate::http::message::request_id::{RequestId, X_REQUEST_ID, sane};
use crate::telemetry::access_log::{AccessLine, AccessLog};

const X_B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const X_B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const X_B3_PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");

/// Status in the log when the client went away before the answer; never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Finds out request id, trace id and client address; echoes the ids; feeds the access log.
#[derive(Clone)]
pub struct TraceLayer {
    shared: Arc<Shared>,
}

struct Shared {
    log: AccessLog,
    proxies: TrustedProxies,
}

impl TraceLayer {
    /// Writes lines to `log`.
    pub fn new(log: AccessLog, proxies: TrustedProxies) -> Self {
        Self { shared: Arc::new(Shared { log, proxies }) }
    }
}

impl<T> Layer<T> for TraceLayer {
    type Service = Trace<T>;

    fn layer(&self, inner: T) -> Trace<T> {
        Trace { inner, shared: Arc::clone(&self.shared) }
    }
}

/// See [`TraceLayer`].
#[derive(Clone)]
pub struct Trace<T> {
    inner: T,
    shared: Arc<Shared>,
}

impl<T, B> Service<Inbound<B>> for Trace<T>
where
    T: Service<Call<B>, Response = Reply, Error = Infallible>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = TraceFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, inbound: Inbound<B>) -> Self::Future {
        let Inbound { request, peer } = inbound;
        let headers = request.headers();
        let request_id = RequestId::from_headers(headers);
        let client_ip = self.shared.proxies.client_ip(peer, headers);
        let record = Record {
            shared: Arc::clone(&self.shared),
            started: Instant::now(),
            request_id: request_id.clone(),
            b3: B3::from_headers(headers),
            client_ip,
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: CLIENT_CLOSED_REQUEST,
        };
        let inner = self.inner.call(Call { request, request_id, client_ip });
        TraceFuture { inner, record: Some(record) }
    }
}

/// The B3 headers that the client sent and that are safe to repeat.
#[derive(Debug)]
struct B3 {
    trace: Option<HeaderValue>,
    span: Option<HeaderValue>,
    parent: Option<HeaderValue>,
}

impl B3 {
    fn from_headers(headers: &HeaderMap) -> Self {
        let get = |name| sane(headers, name).cloned();
        Self {
            trace: get(&X_B3_TRACE_ID),
            span: get(&X_B3_SPAN_ID),
            parent: get(&X_B3_PARENT_SPAN_ID),
        }
    }

    fn echo(&mut self, headers: &mut HeaderMap) {
        if let Some(value) = &self.trace {
            headers.insert(X_B3_TRACE_ID, value.clone());
        }
        if let Some(value) = self.span.take() {
            headers.insert(X_B3_SPAN_ID, value);
        }
        if let Some(value) = self.parent.take() {
            headers.insert(X_B3_PARENT_SPAN_ID, value);
        }
    }
}

/// All that the line needs; dropping it writes the line, also when the request was abandoned.
struct Record {
    shared: Arc<Shared>,
    started: Instant,
    request_id: RequestId,
    b3: B3,
    client_ip: IpAddr,
    method: Method,
    uri: Uri,
    status: u16,
}

impl Drop for Record {
    fn drop(&mut self) {
        let trace_id = self.b3.trace.as_ref().and_then(|value| value.to_str().ok());
        self.shared.log.write(&AccessLine {
            request_id: self.request_id.as_str(),
            trace_id: trace_id.unwrap_or(self.request_id.as_str()),
            client_ip: self.client_ip,
            method: self.method.as_str(),
            path: self.uri.path(),
            status: self.status,
            latency: self.started.elapsed(),
        });
    }
}

pin_project! {
    /// The future of [`Trace`].
    pub struct TraceFuture<F> {
        #[pin]
        inner: F,
        record: Option<Record>,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for TraceFuture<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut reply) = ready!(this.inner.poll(cx));
        if let Some(mut record) = this.record.take() {
            record.status = reply.status().as_u16();
            let headers = reply.headers_mut();
            headers.insert(X_REQUEST_ID, record.request_id.header_value());
            record.b3.echo(headers);
        }
        Poll::Ready(Ok(reply))
    }
}
