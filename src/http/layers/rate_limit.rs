//! Refuses what comes too often (`AUTH_RATE_LIMIT_*`), before anything else is done for it.
//!
//! - The first limit that refuses ends the matter; a refused request costs its limit nothing.
//! - The refusal is the reference's, 429 without a body, and says in `Retry-After` when to try again.
//! - Every response carries `RateLimit-Policy` and `RateLimit` in the form of the present IETF draft
//!   (draft-ietf-httpapi-ratelimit-headers): unlike the older trio of headers it can name several
//!   limits, and here most requests have more than one.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::buckets::{Bucket, buckets};
use super::middleware::{Enter, Middleware};
use super::proxy_watch::ProxyWatch;
use crate::actors::limits::counter_store::Subject;
use crate::actors::limits::counters::{Counters, Guard};
use crate::config::{Config, LiveConfig};
use crate::domain::client_network::ClientNetwork;
use crate::domain::rate_limit::Verdict;
use crate::http::message::call::{Reply, Routed};
use crate::http::message::error::seconds;
use crate::http::message::route::Limits;
use crate::telemetry::line;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What requests are counted with.
pub struct RateLimitParts {
    pub config: LiveConfig,
    pub counters: Counters,
    pub proxies: ProxyWatch,
}

/// Limits requests; without parts, or while limits are off, it costs a look at the configuration.
#[derive(Clone)]
pub struct RateLimit {
    parts: Option<Arc<RateLimitParts>>,
}

impl RateLimit {
    /// `None` never limits.
    pub fn new(parts: Option<RateLimitParts>) -> Self {
        Self { parts: parts.map(Arc::new) }
    }
}

impl<B> Middleware<Routed<B>> for RateLimit {
    type Out = Routed<B>;
    type Exit = Option<Headers>;

    fn enter(&self, routed: Routed<B>) -> Enter<Routed<B>, Option<Headers>> {
        let Some(parts) = &self.parts else { return Enter::Pass(routed, None) };
        if routed.is_probe() {
            return Enter::Pass(routed, None);
        }
        let config = parts.config.load();
        // What has no route falls under the limit of all requests.
        let limits = routed.route.as_ref().map_or(Limits::NONE, |found| found.rules.limits);
        let client_ip = routed.call.client_ip;
        let counted = parts.count(&config, limits, client_ip);
        if counted.is_some() {
            parts.proxies.look_at(client_ip, routed.call.request.headers());
        }
        match counted {
            None => Enter::Pass(routed, None),
            Some((None, headers)) => Enter::Pass(routed, Some(headers)),
            Some((Some(verdict), headers)) => Enter::Respond(headers.on(refuse(verdict))),
        }
    }

    fn leave(headers: Option<Headers>, reply: Reply) -> Reply {
        match headers {
            Some(headers) => headers.on(reply),
            None => reply,
        }
    }
}

impl RateLimitParts {
    /// Counts the request; the verdict is there if it refuses. `None` while limits are off.
    fn count(
        &self,
        config: &Config,
        limits: Limits,
        client_ip: IpAddr,
    ) -> Option<(Option<Verdict>, Headers)> {
        let policies = config.protection.rate_limits.as_ref()?;
        let mut headers = Headers::new();
        let client = Subject::Network(ClientNetwork::from(client_ip));
        for bucket in buckets(config, policies, limits, client) {
            let Bucket { name, policy, subject } = bucket;
            let verdict = self.counters.requests.hit(name, subject, policy);
            headers.add(bucket, verdict);
            if !verdict.allowed {
                self.counters.note_refusal(Guard::RateLimit);
                return Some((Some(verdict), headers));
            }
        }
        Some((None, headers))
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
        // By hand, since every response has them.
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
