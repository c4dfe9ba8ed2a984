//! The closed loop of one session: it sends a request, waits for the response, and sends the next.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::tally::Tally;
use crate::args::Operation;
use crate::client::{Client, Outcome, pause};

/// Refusals in a row after which a session is given up.
const MAX_REFUSALS: u32 = 10;

/// A session with its connection.
pub(super) struct Session {
    pub(super) operation: Operation,
    pub(super) client: Client,
    pub(super) token: String,
    /// Lost or given up; not used any more.
    pub(super) over: bool,
}

impl Session {
    /// Sends requests until the time is over; the last response is waited for, as it has the newest
    /// token.
    pub(super) async fn run(
        mut self,
        until: Instant,
        tally: Arc<Mutex<Tally>>,
        stop: Arc<AtomicBool>,
        done: Arc<AtomicU64>,
    ) -> Self {
        let mut refusals = 0;
        let mut failures = 0_u32;
        let mut start = Instant::now();
        while start < until && !stop.load(Ordering::Relaxed) && !self.over {
            let outcome = match self.operation {
                Operation::Refresh => self.client.refresh(&mut self.token).await,
                Operation::Verify => self.client.verify(&self.token).await,
                Operation::User => self.client.user(&self.token).await,
            };
            let end = Instant::now();
            if outcome == Outcome::Ok {
                let nanos = u64::try_from((end - start).as_nanos()).unwrap_or(u64::MAX);
                let mut tally = lock(&tally);
                tally.ok += 1;
                tally.in_window += u64::from(end <= until);
                tally.latency.saturating_record(nanos);
                drop(tally);
                done.fetch_add(1, Ordering::Relaxed);
                (refusals, failures) = (0, 0);
                start = end;
                continue;
            }
            {
                let mut tally = lock(&tally);
                match outcome {
                    Outcome::Ok => {}
                    Outcome::Lost => {
                        tally.lost += 1;
                        self.over = true;
                    }
                    Outcome::Refused(status, code) => {
                        let kind = format!("{} {code}", status.as_u16());
                        *tally.errors.entry(kind).or_default() += 1;
                        // An overloaded server may recover; a plain no will stay a no.
                        refusals += u32::from(!status.is_server_error() && status.as_u16() != 429);
                        if refusals >= MAX_REFUSALS {
                            tally.given_up += 1;
                            self.over = true;
                        }
                    }
                    Outcome::Failed(failure) => {
                        *tally.errors.entry(failure.kind().to_owned()).or_default() += 1;
                    }
                }
            }
            failures = (failures + 1).min(6);
            let left = until.saturating_duration_since(end);
            pause((Duration::from_millis(10) * (1 << failures)).min(left)).await;
            start = Instant::now();
        }
        self
    }
}

/// The tally, whatever became of a thread that held it.
pub(super) fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
