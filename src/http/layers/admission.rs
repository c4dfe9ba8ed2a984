//! Bounds the requests in flight; past the bound the response is an immediate 503.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::HeaderValue;
use http::header::RETRY_AFTER;

use super::middleware::{Enter, Middleware};
use crate::domain::error::ErrorCode;
use crate::http::message::call::Reply;
use crate::http::message::error::code_response;
use crate::metrics::HttpStats;

/// Lets `limit` requests in at a time (`AUTH_HTTP_MAX_CONCURRENCY`).
///
/// A counter instead of tower's semaphore: nobody waits here, so there is nothing to queue.
#[derive(Clone, Debug)]
pub struct Admission {
    limit: usize,
    stats: Arc<HttpStats>,
}

impl Admission {
    /// Counts in `stats`, which belong to one front end.
    pub fn new(limit: usize, stats: Arc<HttpStats>) -> Self {
        Self { limit, stats }
    }
}

impl<In> Middleware<In> for Admission {
    type Out = In;
    type Exit = Place;

    fn enter(&self, call: In) -> Enter<In, Place> {
        let place = Place(Arc::clone(&self.stats));
        if self.stats.in_flight.fetch_add(1, Ordering::Relaxed) < self.limit {
            return Enter::Pass(call, place);
        }
        self.stats.shed.increment();
        let response = code_response(ErrorCode::ServiceUnavailable)
            .with_header(RETRY_AFTER, HeaderValue::from_static("1"));
        Enter::Respond(response.into())
    }

    fn leave(_place: Place, reply: Reply) -> Reply {
        reply
    }
}

/// One request's share of the limit, given back with the response or when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<HttpStats>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
