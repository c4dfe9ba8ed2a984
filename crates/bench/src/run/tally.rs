//! What a measurement counts.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies are recorded in nanoseconds up to here.
const MAX_LATENCY: Duration = Duration::from_hours(1);

/// Counts and latencies.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Responses with a new token, those after the end of the window included.
    pub ok: u64,
    /// Responses within the window.
    pub in_window: u64,
    /// Sessions whose newest token was refused as invalid; must be 0.
    pub lost: u64,
    /// Sessions given up after many refusals in a row.
    pub given_up: u64,
    /// Everything else that went wrong, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Latency of responses with a new token, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let max = u64::try_from(MAX_LATENCY.as_nanos()).unwrap_or(u64::MAX);
        let latency = Histogram::new_with_bounds(1_000, max, 3).expect("constant, valid bounds");
        let (ok, in_window, lost, given_up, errors) = (0, 0, 0, 0, BTreeMap::new());
        Self { ok, in_window, lost, given_up, errors, latency }
    }
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.in_window += other.in_window;
        self.lost += other.lost;
        self.given_up += other.given_up;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.latency.add(&other.latency).expect("both have the same bounds");
    }
}
