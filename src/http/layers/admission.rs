//! Bounds the requests in flight; past the bound the response is an immediate 503.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::client_address::TrustedProxies;
use super::middleware::{Enter, Middleware};
use crate::domain::error::ErrorCode;
use crate::http::bounds::shares::{Cells, Shares};
use crate::http::message::call::{Reply, Routed};
use crate::http::message::error::code_response;
use crate::metrics::HttpStats;
use crate::telemetry::pace::Pace;

/// Lets `limit` requests in at a time (`AUTH_HTTP_MAX_CONCURRENCY`), of one client network no more
/// than its share.
///
/// A counter instead of tower's semaphore: nobody waits here, so there is nothing to queue.
#[derive(Clone, Debug)]
pub struct Admission {
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    limit: usize,
    stats: Arc<HttpStats>,
    shares: Option<(Shares, TrustedProxies)>,
    refusals: Pace,
}

impl Admission {
    /// Counts in `stats`, which belong to one front end.
    pub fn new(limit: usize, stats: Arc<HttpStats>) -> Self {
        Self::with(limit, stats, None)
    }

    /// The same, with a bound on each client network; many clients are behind a proxy, which has none.
    pub fn with_shares(
        limit: usize,
        stats: Arc<HttpStats>,
        share: usize,
        proxies: TrustedProxies,
    ) -> Self {
        Self::with(limit, stats, Some((Shares::new(share), proxies)))
    }

    fn with(limit: usize, stats: Arc<HttpStats>, shares: Option<(Shares, TrustedProxies)>) -> Self {
        Self { gate: Arc::new(Gate { limit, stats, shares, refusals: Pace::default() }) }
    }
}

impl<B> Middleware<Routed<B>> for Admission {
    type Out = Routed<B>;
    /// Nothing for those who have no bound.
    type Exit = Option<Place>;

    fn enter(&self, routed: Routed<B>) -> Enter<Routed<B>, Option<Place>> {
        if routed.is_probe() {
            return Enter::Pass(routed, None);
        }
        let gate = &self.gate;
        let mut place = Place { gate: Arc::clone(gate), cells: None };
        if gate.stats.in_flight.fetch_add(1, Ordering::Relaxed) >= gate.limit {
            return Enter::Respond(gate.refuse("all places are taken"));
        }
        if let Some((shares, proxies)) = &gate.shares
            && let Some(network) = proxies.client_network(routed.call.client_ip)
        {
            let cells = shares.cells_of(network);
            if !shares.take(cells, 1) {
                return Enter::Respond(gate.refuse("the client network has its share"));
            }
            place.cells = Some(cells);
        }
        Enter::Pass(routed, Some(place))
    }

    fn leave(_place: Option<Place>, reply: Reply) -> Reply {
        reply
    }
}

impl Gate {
    fn refuse(&self, reason: &'static str) -> Reply {
        self.stats.shed.increment();
        if let Some(count) = self.refusals.event() {
            tracing::warn!(count, reason, "requests refused, too many are in flight");
        }
        code_response(ErrorCode::ServiceUnavailable)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
            .into()
    }
}

/// One request's share of the limit, given back with the response or when it is dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    cells: Option<Cells>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.stats.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let (Some(cells), Some((shares, _))) = (self.cells, &self.gate.shares) {
            shares.give_back(cells, 1);
        }
    }
}
