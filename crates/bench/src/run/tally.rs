//! What a measurement counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::Outcome;

/// Latencies are recorded in nanoseconds up to here.
const MAX_LATENCY: Duration = Duration::from_hours(1);

/// Counts and latencies.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Good responses, those after the end of the window included.
    pub ok: u64,
    /// Good responses within the window.
    pub in_window: u64,
    /// Sessions whose newest token was refused as invalid; must be 0.
    pub lost: u64,
    /// Connections given up after many refusals in a row.
    pub given_up: u64,
    /// Arrivals of an open loop that found no free connection in time.
    pub not_started: u64,
    /// Everything else that went wrong, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Latency of good responses, in nanoseconds; in an open loop also of what took too long, as far
    /// as it was waited for.
    pub latency: Histogram<u64>,
    /// The same by operation, or by step of one, where there are several.
    pub parts: BTreeMap<&'static str, Self>,
}

impl Default for Tally {
    fn default() -> Self {
        let max = u64::try_from(MAX_LATENCY.as_nanos()).unwrap_or(u64::MAX);
        let latency = Histogram::new_with_bounds(1_000, max, 3).expect("constant, valid bounds");
        let (ok, in_window, lost, given_up, not_started) = (0, 0, 0, 0, 0);
        let (errors, parts) = (BTreeMap::new(), BTreeMap::new());
        Self { ok, in_window, lost, given_up, not_started, errors, latency, parts }
    }
}

impl Tally {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.in_window += other.in_window;
        self.lost += other.lost;
        self.given_up += other.given_up;
        self.not_started += other.not_started;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.latency.add(&other.latency).expect("both have the same bounds");
        for (name, part) in &other.parts {
            self.part(name).add(part);
        }
    }

    /// The counts of one operation or step.
    pub fn part(&mut self, name: &'static str) -> &mut Self {
        self.parts.entry(name).or_default()
    }

    /// Counts a good response.
    pub fn succeed(&mut self, took: Duration, is_in_window: bool) {
        self.ok += 1;
        self.in_window += u64::from(is_in_window);
        self.waited(took);
    }

    /// Counts a response that was no good one.
    pub fn fail(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok | Outcome::Nothing => {}
            Outcome::Lost => self.lost += 1,
            Outcome::Refused(status, code) => self.error(format!("{} {code}", status.as_u16())),
            Outcome::Failed(failure) => self.error(failure.kind().to_owned()),
        }
    }

    /// Counts an error of this kind.
    pub fn error(&mut self, kind: String) {
        *self.errors.entry(kind).or_default() += 1;
    }

    /// Records a time without a count.
    pub fn waited(&mut self, time: Duration) {
        self.latency.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Everything that was asked, whatever became of it.
    pub fn asked(&self) -> u64 {
        self.ok + self.lost + self.not_started + self.errors.values().sum::<u64>()
    }
}

/// The tally, whatever became of a thread that held it.
pub(super) fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
