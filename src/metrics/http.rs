//! Metrics of requests, by route.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::{Counter, Histogram};
use crate::domain::database_error::Meaning;
use crate::domain::error::AuthError;

/// Of one front end.
#[derive(Debug)]
pub struct HttpStats {
    /// In the order of the router's list.
    routes: Vec<RouteStats>,
    /// Requests for which there is no route.
    pub unmatched: RouteStats,
    /// Requests that were admitted and have no response yet.
    pub in_flight: AtomicUsize,
    /// Turned away by the limit of requests in flight.
    pub shed: Counter,
    /// Turned away by the budget of bodies.
    pub no_room: Counter,
    pub connections: Arc<ConnectionStats>,
    failures: [Counter; Failure::ALL.len()],
}

/// Of the connections of one listener.
#[derive(Debug, Default)]
pub struct ConnectionStats {
    /// Closed while idle, to make room for others.
    pub closed: Counter,
    /// Not accepted, because their client network had its share.
    pub refused: Counter,
    /// Times that one waited so long for its next request that its buffers were let go of.
    pub parked: Counter,
}

/// Outcomes by the first digit of the status, and requests that were given up by their client.
pub const OUTCOMES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "abandoned"];

const ABANDONED: usize = 5;

/// Of one route.
#[derive(Debug)]
pub struct RouteStats {
    outcomes: [Counter; OUTCOMES.len()],
    /// From the end of the head to the response.
    pub latency: Histogram,
}

/// Why a response was a 5xx, or a redirect that reports a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An actor was too busy, too slow or being restarted.
    Actor,
    /// No connection of the pool became free in time.
    PoolTimeout,
    /// Postgres could not be reached, or failed.
    Postgres,
    /// Something else went wrong.
    Internal,
    /// A handler panicked.
    Panic,
    /// The request took too long as a whole.
    Deadline,
    /// A provider of identities did not do its part.
    Provider,
}

impl Failure {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Actor,
        Self::PoolTimeout,
        Self::Postgres,
        Self::Internal,
        Self::Panic,
        Self::Deadline,
        Self::Provider,
    ];

    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::PoolTimeout => "pool-timeout",
            Self::Postgres => "postgres",
            Self::Internal => "internal",
            Self::Panic => "panic",
            Self::Deadline => "deadline",
            Self::Provider => "provider",
        }
    }

    /// The kind of an error that is a failure of the server.
    pub fn of(error: &AuthError) -> Option<Self> {
        match error {
            AuthError::Unavailable { .. } => Some(Self::Actor),
            AuthError::Storage(cause) if matches!(**cause, sqlx::Error::PoolTimedOut) => {
                Some(Self::PoolTimeout)
            }
            AuthError::Storage(cause) => match Meaning::of(cause) {
                Meaning::Value | Meaning::Raised(_) => None,
                Meaning::Outage | Meaning::Fault => Some(Self::Postgres),
            },
            AuthError::Internal { .. } => Some(Self::Internal),
            AuthError::Provider { .. } => Some(Self::Provider),
            AuthError::Refused(_)
            | AuthError::InvalidRequest(_)
            | AuthError::TooManyAttempts { .. } => None,
        }
    }
}

impl HttpStats {
    /// Of a router with this many routes.
    pub fn new(routes: usize) -> Self {
        Self {
            routes: (0..routes).map(|_| RouteStats::default()).collect(),
            unmatched: RouteStats::default(),
            in_flight: AtomicUsize::new(0),
            shed: Counter::default(),
            no_room: Counter::default(),
            connections: Arc::default(),
            failures: std::array::from_fn(|_| Counter::default()),
        }
    }

    /// Of one route, by its place in the router's list.
    pub fn route(&self, index: usize) -> &RouteStats {
        self.routes.get(index).unwrap_or(&self.unmatched)
    }

    /// Counts an error, if it is a failure.
    pub fn failed(&self, error: &AuthError) {
        if let Some(failure) = Failure::of(error) {
            self.failed_by(failure);
        }
    }

    /// Counts a failure.
    pub fn failed_by(&self, failure: Failure) {
        self.failures[failure as usize].increment();
    }

    /// Failures of one kind.
    pub fn failures(&self, failure: Failure) -> u64 {
        self.failures[failure as usize].get()
    }
}

impl Default for RouteStats {
    fn default() -> Self {
        Self { outcomes: std::array::from_fn(|_| Counter::default()), latency: Histogram::times() }
    }
}

impl RouteStats {
    /// Watches a request that came at `started`; one that is dropped without a response was
    /// abandoned.
    pub fn watch(&self, started: Instant) -> Watch<'_> {
        Watch { stats: self, started, outcome: ABANDONED }
    }

    /// Requests by outcome, in the order of [`OUTCOMES`].
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(Counter::get))
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Watch<'a> {
    stats: &'a RouteStats,
    started: Instant,
    outcome: usize,
}

impl Watch<'_> {
    /// The response is ready.
    pub fn responded(mut self, status: http::StatusCode) {
        self.outcome = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.stats.outcomes[self.outcome].increment();
        self.stats.latency.record_time(self.started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn counts(stats: &RouteStats) -> Vec<u64> {
        stats.outcomes().map(|(_, count)| count).collect()
    }

    #[test]
    fn requests_count_by_the_class_of_their_status_or_as_abandoned() {
        let stats = HttpStats::new(1);
        for status in [StatusCode::OK, StatusCode::FOUND, StatusCode::SERVICE_UNAVAILABLE] {
            stats.route(0).watch(Instant::now()).responded(status);
        }
        drop(stats.route(0).watch(Instant::now()));
        assert_eq!(counts(stats.route(0)), [0, 1, 1, 0, 1, 1]);
        assert_eq!(stats.route(0).latency.snapshot().count(), 4);
        assert_eq!(counts(stats.route(1)), [0; 6], "unknown places count as no route");
    }

    #[test]
    fn only_what_is_the_servers_fault_is_a_failure() {
        let stats = HttpStats::new(0);
        stats.failed(&crate::domain::error::ErrorCode::InvalidTicket.into());
        stats.failed(&AuthError::unavailable("an actor"));
        stats.failed(&AuthError::from(sqlx::Error::PoolTimedOut));
        stats.failed(&AuthError::from(sqlx::Error::PoolClosed));
        let seen: Vec<u64> = Failure::ALL.map(|kind| stats.failures(kind)).into();
        assert_eq!(seen, [1, 1, 1, 0, 0, 0, 0]);
    }
}
