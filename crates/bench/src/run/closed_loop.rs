//! The closed loop of one connection: it sends a request, waits for the response, and sends the next.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::caller::{Caller, Shared};
use super::tally::lock;
use crate::client::{Outcome, pause};

/// Sends requests until the time is over; the last response is waited for, as it has the newest
/// token.
pub(super) async fn run(mut caller: Caller, shared: Shared) -> Caller {
    let until = shared.until;
    let mut failures = 0_u32;
    let mut start = Instant::now();
    while start < until && !shared.stop.load(Ordering::Relaxed) && !caller.over {
        let outcome = caller.perform(0).await;
        let end = Instant::now();
        if outcome == Outcome::Ok {
            let mut tally = lock(&shared.tally);
            tally.succeed(end - start, end <= until);
            for (name, time) in caller.calls[0].steps() {
                tally.part(name).succeed(*time, end <= until);
            }
            drop(tally);
            shared.done.fetch_add(1, Ordering::Relaxed);
            (caller.refusals, failures) = (0, 0);
            start = end;
            continue;
        }
        let given_up = caller.is_given_up(&outcome);
        caller.over |= outcome == Outcome::Lost && caller.calls[0].ends_with_its_session();
        {
            let mut tally = lock(&shared.tally);
            tally.fail(&outcome);
            tally.given_up += u64::from(given_up);
        }
        failures = (failures + 1).min(6);
        let left = until.saturating_duration_since(end);
        pause((Duration::from_millis(10) * (1 << failures)).min(left)).await;
        start = Instant::now();
    }
    // The next turn begins afresh, as it always has.
    caller.refusals = 0;
    caller
}
