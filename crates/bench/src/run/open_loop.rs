//! The open loop: requests are sent when they are due, not when the last response has come.
//!
//! Latency counts from the moment at which a request was due, so the wait for a free connection is
//! in it, and a server that stalls is not asked less for that (no coordinated omission).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::arrivals::{Arrival, Arrivals};
use super::caller::{Caller, Shared};
use super::clock::Clock;
use super::tally::lock;
use crate::client::Outcome;
use crate::wire::Failure;

/// Longest sleep before the end of the run is looked for.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// What is due on one thread; whoever holds it waits for the next arrival, all others wait behind.
pub(super) struct Queue {
    arrivals: Arrivals,
    clock: Clock,
    start: Instant,
    /// What waited longer than this is not sent any more, as its sender would have given up.
    patience: Duration,
    names: Arc<[&'static str]>,
    shared: Shared,
    is_over: bool,
}

impl Queue {
    /// The arrivals of one turn, which begins now.
    pub(super) fn new(
        arrivals: Arrivals,
        patience: Duration,
        names: Arc<[&'static str]>,
        shared: Shared,
    ) -> std::io::Result<Self> {
        let (clock, start, is_over) = (Clock::new()?, Instant::now(), false);
        Ok(Self { arrivals, clock, start, patience, names, shared, is_over })
    }

    /// The next request, once it is due; `None` at the end of the turn.
    async fn next(&mut self) -> Option<(Arrival, Instant)> {
        while !self.is_over {
            let arrival = self.arrivals.next();
            let due = self.start + arrival.at;
            self.wait_for(due).await;
            let now = Instant::now();
            if due >= self.shared.until || self.shared.stop.load(Ordering::Relaxed) {
                self.is_over = true;
            } else if now >= self.shared.until {
                self.leave(arrival);
                self.is_over = true;
            } else if now - due > self.patience {
                self.not_started(arrival, self.patience);
            } else {
                return Some((arrival, due));
            }
        }
        None
    }

    async fn wait_for(&self, due: Instant) {
        let due = due.min(self.shared.until);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.clock.wait(left.min(LONGEST_SLEEP)).await.is_err() {
                return;
            }
        }
    }

    /// The turn is over, and what was due in it has waited for this long.
    fn leave(&mut self, first: Arrival) {
        let mut arrival = first;
        while self.start + arrival.at < self.shared.until {
            let waited = self.shared.until - (self.start + arrival.at);
            self.not_started(arrival, waited.min(self.patience));
            arrival = self.arrivals.next();
        }
    }

    fn not_started(&self, arrival: Arrival, waited: Duration) {
        let mut tally = lock(&self.shared.tally);
        tally.not_started += 1;
        tally.waited(waited);
        let part = tally.part(self.names[arrival.operation]);
        part.not_started += 1;
        part.waited(waited);
    }
}

/// Sends what is due until the turn is over; the last response is waited for.
pub(super) async fn run(mut caller: Caller, queue: Arc<Mutex<Queue>>, shared: Shared) -> Caller {
    let names = Arc::clone(&queue.lock().await.names);
    while !caller.over {
        let next = queue.lock().await.next().await;
        let Some((arrival, due)) = next else { break };
        let outcome = caller.perform(arrival.operation).await;
        let end = Instant::now();
        let (took, is_in_window) = (end - due, end <= shared.until);
        let given_up = caller.is_given_up(&outcome);
        let mut tally = lock(&shared.tally);
        tally.given_up += u64::from(given_up);
        if outcome == Outcome::Ok {
            tally.succeed(took, is_in_window);
            tally.part(names[arrival.operation]).succeed(took, is_in_window);
            drop(tally);
            shared.done.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        tally.fail(&outcome);
        tally.part(names[arrival.operation]).fail(&outcome);
        if outcome == Outcome::Failed(Failure::TimedOut) {
            tally.waited(took);
            tally.part(names[arrival.operation]).waited(took);
        }
    }
    caller.refusals = 0;
    caller
}
