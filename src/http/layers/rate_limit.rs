//! Refuses what comes too often (`AUTH_RATE_LIMIT_*`), before anything else is done for it.
//!
//! - The first limit that refuses ends the matter; a refused request costs its limit nothing.
//! - The refusal is the reference's, 429 without a body, and says in `Retry-After` when to come back.
//! - Every answer carries `RateLimit-Policy` and `RateLimit` in the form of the present IETF draft
//!   (draft-ietf-httpapi-ratelimit-headers): unlike the older trio of headers it can name several
//!   limits, and here most requests have more than one.

use std::convert::Infallible;
use std::future::{self, Ready};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::buckets::{Bucket, buckets};
use crate::actors::limits::counters::{Network, Subject};
use crate::actors::limits::rate_limiter::{Counters, Guard};
use crate::config::{Config, LiveConfig};
use crate::domain::rate_limit::Verdict;
use crate::http::message::call::{Call, Reply};
use crate::http::message::error::seconds;
use crate::telemetry::line;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the limits are judged by.
pub struct RateLimitParts {
    pub config: LiveConfig,
    pub counters: Counters,
    /// `AUTH_API_PREFIX` of the router.
    pub prefix: String,
}

/// Limits requests; without parts, or while limits are off, it costs a look at the configuration.
#[derive(Clone)]
pub struct RateLimitLayer {
    parts: Option<Arc<RateLimitParts>>,
}

impl RateLimitLayer {
    /// `None` never limits.
    pub fn new(parts: Option<RateLimitParts>) -> Self {
        Self { parts: parts.map(Arc::new) }
    }
}

impl<T> Layer<T> for RateLimitLayer {
    type Service = RateLimit<T>;

    fn layer(&self, inner: T) -> RateLimit<T> {
        RateLimit { inner, parts: self.parts.clone() }
    }
}

/// See [`RateLimitLayer`].
#[derive(Clone)]
pub struct RateLimit<T> {
    inner: T,
    parts: Option<Arc<RateLimitParts>>,
}

impl<T, B> Service<Call<B>> for RateLimit<T>
where
    T: Service<Call<B>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = RateLimitFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        let Some((parts, config)) = self.limits() else {
            return RateLimitFuture::Open { inner: self.inner.call(call), headers: None };
        };
        let (uri, client_ip) = (call.request.uri().clone(), call.client_ip);
        let mut judging = Box::pin(async move { parts.judge(&config, &uri, client_ip).await });
        // Counters in memory answer at once. The rest of the request, a large future, then needs no box.
        match (&mut judging).now_or_never() {
            Some((None, headers)) => {
                RateLimitFuture::Open { inner: self.inner.call(call), headers: Some(headers) }
            }
            Some((Some(verdict), headers)) => {
                RateLimitFuture::Refused { reply: future::ready(Ok(headers.on(refuse(verdict)))) }
            }
            None => {
                let mut inner = self.inner.clone();
                let work = async move {
                    let (refusal, headers) = judging.await;
                    let reply = match refusal {
                        Some(verdict) => refuse(verdict),
                        None => match inner.call(call).await {
                            Ok(reply) => reply,
                        },
                    };
                    Ok(headers.on(reply))
                };
                RateLimitFuture::Waiting { inner: Box::pin(work) }
            }
        }
    }
}

impl<T> RateLimit<T> {
    /// What this request is judged by, unless limits are off.
    fn limits(&self) -> Option<(Arc<RateLimitParts>, arc_swap::Guard<Arc<Config>>)> {
        let parts = self.parts.as_ref()?;
        let config = parts.config.load();
        config.protection.rate_limits.is_some().then(|| (Arc::clone(parts), config))
    }
}

impl RateLimitParts {
    /// Counts the request; comes back with the verdict that refuses it, if one does.
    async fn judge(
        &self,
        config: &Config,
        uri: &Uri,
        client_ip: IpAddr,
    ) -> (Option<Verdict>, Headers) {
        let mut headers = Headers::new();
        let Some(limits) = &config.protection.rate_limits else { return (None, headers) };
        let path = uri.path();
        let path = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        let client = Subject::Network(Network::from(client_ip));
        for bucket in buckets(config, limits, path, client) {
            let Bucket { name, policy, subject } = bucket;
            let verdict = self.counters.requests.hit(name, subject, policy).await;
            headers.add(bucket, verdict);
            if !verdict.allowed {
                self.counters.note_refusal(Guard::RateLimit);
                return (Some(verdict), headers);
            }
        }
        (None, headers)
    }
}

fn refuse(verdict: Verdict) -> Reply {
    let mut reply = Response::default();
    *reply.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    reply.headers_mut().insert(RETRY_AFTER, seconds(verdict.reset));
    reply
}

/// Lists of structured fields (RFC 9651), one item a limit.
pub struct Headers {
    policy: Vec<u8>,
    left: Vec<u8>,
}

impl Headers {
    fn new() -> Self {
        // Room for two limits, which is what most requests have at the most.
        Self { policy: Vec::with_capacity(96), left: Vec::with_capacity(96) }
    }

    fn add(&mut self, bucket: Bucket, verdict: Verdict) {
        let comma: &[u8] = if self.policy.is_empty() { b"" } else { b", " };
        let Bucket { name, policy, .. } = bucket;
        // Whole seconds are all that the fields can say.
        let window = policy.window.as_secs().max(1);
        let reset = verdict.reset.as_secs() + u64::from(verdict.reset.subsec_millis() > 0);
        // By hand, since every answer has them.
        for (text, parts) in [
            (&mut self.policy, [(b";q=", policy.limit.into()), (b";w=", window)]),
            (&mut self.left, [(b";r=", verdict.remaining.into()), (b";t=", reset.max(1))]),
        ] {
            for piece in [comma, b"\"", name.as_bytes(), b"\""] {
                text.extend_from_slice(piece);
            }
            for (key, number) in parts {
                text.extend_from_slice(key);
                line::push_number(text, number);
            }
        }
    }

    fn on(self, mut reply: Reply) -> Reply {
        for (name, text) in [(RATE_LIMIT_POLICY, self.policy), (RATE_LIMIT, self.left)] {
            // Made of digits and constants, so it always is one.
            if let (false, Ok(value)) = (text.is_empty(), HeaderValue::try_from(text)) {
                reply.headers_mut().insert(name, value);
            }
        }
        reply
    }
}

pin_project! {
    /// The future of [`RateLimit`].
    #[project = RateLimitProjection]
    pub enum RateLimitFuture<F> {
        Open { #[pin] inner: F, headers: Option<Headers> },
        Refused { #[pin] reply: Ready<Result<Reply, Infallible>> },
        /// For a store that does not answer at once.
        Waiting { inner: BoxFuture<'static, Result<Reply, Infallible>> },
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for RateLimitFuture<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            RateLimitProjection::Open { inner, headers } => {
                let Ok(reply) = ready!(inner.poll(cx));
                Poll::Ready(Ok(match headers.take() {
                    Some(headers) => headers.on(reply),
                    None => reply,
                }))
            }
            RateLimitProjection::Refused { reply } => reply.poll(cx),
            RateLimitProjection::Waiting { inner } => inner.as_mut().poll(cx),
        }
    }
}
