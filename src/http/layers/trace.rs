//! Names each request and writes one line about it when it is over.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::client_address::TrustedProxies;
use super::middleware::{Enter, Middleware};
use crate::http::message::call::{Call, Inbound, Reply};
use crate::http::message::request_id::{RequestId, X_REQUEST_ID, sane};
use crate::telemetry::access_log::{AccessLine, AccessLog};

const X_B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const X_B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const X_B3_PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");

/// Status in the log when the client went away before the response; never sent.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// Finds out request id, trace id and client address; echoes the ids; feeds the access log.
#[derive(Clone)]
pub struct Trace {
    shared: Arc<Shared>,
}

struct Shared {
    log: AccessLog,
    proxies: TrustedProxies,
}

impl Trace {
    /// Writes lines to `log`.
    pub fn new(log: AccessLog, proxies: TrustedProxies) -> Self {
        Self { shared: Arc::new(Shared { log, proxies }) }
    }
}

impl<B> Middleware<Inbound<B>> for Trace {
    type Out = Call<B>;
    type Exit = Record;

    fn enter(&self, inbound: Inbound<B>) -> Enter<Call<B>, Record> {
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
        Enter::Pass(Call { request, request_id, client_ip }, record)
    }

    fn leave(mut record: Record, mut reply: Reply) -> Reply {
        record.status = reply.status().as_u16();
        let headers = reply.headers_mut();
        headers.insert(X_REQUEST_ID, record.request_id.header_value());
        record.b3.echo(headers);
        reply
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
pub struct Record {
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
