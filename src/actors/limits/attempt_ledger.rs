//! Attempts whose places Postgres gave out: what is told to it of their outcomes, and what this node
//! remembers of its judgements. Outlives the incarnations of the actor.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::counter_key::CounterKey;
use super::counter_store::{Key, Subject};
use super::messages::{Answer, Ask, RateLimiterMsg};
use super::reach::Reach;
use crate::actors::runtime::handle::Handle;
use crate::domain::clock::Clock;
use crate::domain::rate_limit::{Policy, Verdict};
use crate::persistence::counters::{self, Outcome};

/// How long anybody waits for Postgres' judgement before this node judges alone.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// How often those that wait for attempts of other nodes look again, all at the same time, so that
/// they share a statement.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a refusal holds here without a look at Postgres, where an operator may have lifted it.
const REFUSED_FOR: time::Duration = time::Duration::seconds(1);

/// Accounts whose refusal is remembered.
const REFUSED: usize = 10_000;

/// Keys whose outcomes may wait for Postgres; what is not told to it keeps counting as failed.
const UNTOLD: usize = 50_000;

/// Shared by everybody who counts attempts; cheap to clone.
#[derive(Clone)]
pub struct AttemptLedger {
    shared: Arc<Shared>,
    pub reach: Reach,
}

struct Shared {
    key: CounterKey,
    clock: Clock,
    outcomes: Mutex<HashMap<counters::Key, Outcome>>,
    /// Told when places have become free, or will not.
    freed: watch::Sender<()>,
    refused: Cache<counters::Key, Refused>,
    started: Instant,
}

/// No attempt is under way that might reopen the account.
#[derive(Clone, Copy)]
struct Refused {
    look_again: OffsetDateTime,
    opens: OffsetDateTime,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Failed,
    Succeeded,
    /// It did not happen.
    Withdrawn,
}

/// A place that Postgres gave out.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub key: counters::Key,
    /// The window in which it was counted.
    pub slot: i64,
    /// Nothing was left after it.
    pub is_last: bool,
}

/// What becomes of who asks for a place.
pub enum Judgement {
    Given(Place),
    Refused(Verdict),
    /// Ask again.
    Later,
    /// Postgres does not say.
    Unknown,
}

impl AttemptLedger {
    /// With nothing to tell.
    pub fn new(key: CounterKey, clock: Clock, reach: Reach) -> Self {
        let shared = Shared {
            key,
            clock,
            outcomes: Mutex::default(),
            freed: watch::Sender::new(()),
            refused: Cache::new(REFUSED),
            started: Instant::now(),
        };
        Self { shared: Arc::new(shared), reach }
    }

    /// The name of an account's counters in Postgres.
    pub fn name(&self, scope: &'static str, subject: Subject, policy: Policy) -> counters::Key {
        self.shared.key.name(&Key { scope, window: policy.window, subject })
    }

    /// Asks Postgres for a place; waits a moment if others may yet give theirs back.
    pub async fn ask(
        &self,
        limiter: &Handle<RateLimiterMsg>,
        key: counters::Key,
        policy: Policy,
    ) -> Judgement {
        if let Some(verdict) = self.still_refused(&key) {
            return Judgement::Refused(verdict);
        }
        if !self.reach.may_ask() {
            return Judgement::Unknown;
        }
        // What is freed while Postgres is asked counts too.
        let mut freed = self.shared.freed.subscribe();
        let asking =
            limiter.call_beyond_bound(|reply| RateLimiterMsg::Count(Ask { key, policy }, reply));
        match timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(Some(Answer::Given { slot, is_last }))) => {
                Judgement::Given(Place { key, slot, is_last })
            }
            Ok(Ok(Some(Answer::Refused { verdict, may_reopen: false }))) => {
                self.remember_refusal(key, verdict);
                Judgement::Refused(verdict)
            }
            Ok(Ok(Some(Answer::Refused { may_reopen: true, .. }))) => {
                let _ = timeout(self.next_look(), freed.changed()).await;
                Judgement::Later
            }
            Ok(Ok(None) | Err(_)) => Judgement::Unknown,
            Err(elapsed) => {
                self.reach.failed(&elapsed);
                Judgement::Unknown
            }
        }
    }

    /// Notes that this node judges alone.
    pub fn note_alone(&self) {
        self.reach.note_alone();
    }

    /// Notes the outcome of an attempt, to be told to Postgres.
    pub fn end(&self, limiter: &Handle<RateLimiterMsg>, place: Place, end: End) {
        self.note(outcome(place.key, 1, end, place.slot));
        limiter.cast(RateLimiterMsg::Settle);
    }

    /// The same for who was not there any more when the place was given.
    pub fn withdraw(&self, key: counters::Key, slot: i64) {
        self.note(outcome(key, 1, End::Withdrawn, slot));
    }

    /// A success that this node judged alone: what Postgres counted before is forgiven too.
    pub fn forgive(&self, limiter: &Handle<RateLimiterMsg>, key: counters::Key) {
        self.note(outcome(key, 0, End::Succeeded, 0));
        limiter.cast(RateLimiterMsg::Settle);
    }

    fn note(&self, new: Outcome) {
        let mut outcomes = self.outcomes();
        let is_full = outcomes.len() >= UNTOLD;
        match outcomes.entry(new.key) {
            Entry::Occupied(mut before) => *before.get_mut() = merged(*before.get(), new),
            Entry::Vacant(place) if !is_full => {
                place.insert(new);
            }
            Entry::Vacant(_) => {}
        }
    }

    /// Takes at most so many outcomes that Postgres does not know.
    pub fn take_outcomes(&self, most: usize) -> Vec<Outcome> {
        let mut outcomes = self.outcomes();
        if outcomes.len() <= most {
            return std::mem::take(&mut *outcomes).into_values().collect();
        }
        let keys: Vec<_> = outcomes.keys().take(most).copied().collect();
        keys.iter().filter_map(|key| outcomes.remove(key)).collect()
    }

    /// Notes them again: Postgres has surely not heard of them.
    pub fn put_back(&self, before: Vec<Outcome>) {
        let mut outcomes = self.outcomes();
        for old in before {
            match outcomes.entry(old.key) {
                Entry::Occupied(mut newer) => *newer.get_mut() = merged(old, *newer.get()),
                Entry::Vacant(place) => {
                    place.insert(old);
                }
            }
        }
    }

    /// Whether there is something to tell.
    pub fn has_outcomes(&self) -> bool {
        !self.outcomes().is_empty()
    }

    /// Postgres knows of these, and so many are still under way; wakes those that wait for a place, or
    /// for the end of the last one that might make room.
    pub fn settled(&self, outcomes: &[Outcome], under_way: &[i32]) {
        if outcomes.iter().any(|one| one.succeeded || one.withdrawn > 0) || under_way.contains(&0) {
            self.shared.freed.send_replace(());
        }
    }

    fn still_refused(&self, key: &counters::Key) -> Option<Verdict> {
        let refused = self.shared.refused.get(key)?;
        let now = self.shared.clock.now();
        let left = Duration::try_from(refused.opens - now).ok().filter(|left| !left.is_zero())?;
        (now < refused.look_again).then_some(Verdict { allowed: false, remaining: 0, reset: left })
    }

    fn remember_refusal(&self, key: counters::Key, verdict: Verdict) {
        let now = self.shared.clock.now();
        let look_again = now + REFUSED_FOR;
        self.shared.refused.insert(key, Refused { look_again, opens: now + verdict.reset });
    }

    fn next_look(&self) -> Duration {
        let every = LOOK_EVERY.as_nanos();
        let left = every - self.shared.started.elapsed().as_nanos() % every;
        Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX))
    }

    fn outcomes(&self) -> MutexGuard<'_, HashMap<counters::Key, Outcome>> {
        self.shared.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn outcome(key: counters::Key, ended: i32, end: End, slot: i64) -> Outcome {
    Outcome {
        key,
        ended,
        succeeded: end == End::Succeeded,
        failed_since: i32::from(end == End::Failed),
        withdrawn: i32::from(end == End::Withdrawn),
        slot,
    }
}

/// One after the other. Of attempts that did not happen and were counted in different windows the
/// later ones keep counting as failed.
fn merged(before: Outcome, after: Outcome) -> Outcome {
    let ended = before.ended.saturating_add(after.ended);
    if after.succeeded {
        return Outcome { ended, ..after };
    }
    let (slot, withdrawn) = if before.withdrawn == 0 {
        (after.slot, after.withdrawn)
    } else if before.slot == after.slot {
        (before.slot, before.withdrawn.saturating_add(after.withdrawn))
    } else {
        (before.slot, before.withdrawn)
    };
    let failed_since = before.failed_since.saturating_add(after.failed_since);
    Outcome { ended, failed_since, withdrawn, slot, ..before }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(ends: &[(End, i64)]) -> Outcome {
        let one = |(end, slot): &(End, i64)| outcome([7; 32], 1, *end, *slot);
        ends.iter().map(one).reduce(merged).unwrap()
    }

    #[test]
    fn outcomes_of_a_key_become_one_in_their_order() {
        use End::{Failed, Succeeded, Withdrawn};
        let seen = all(&[(Failed, 1), (Withdrawn, 1), (Failed, 1), (Withdrawn, 1)]);
        assert_eq!((seen.ended, seen.succeeded, seen.withdrawn, seen.slot), (4, false, 2, 1));
        let seen = all(&[(Failed, 1), (Succeeded, 1), (Failed, 1), (Withdrawn, 1)]);
        assert_eq!((seen.ended, seen.succeeded, seen.failed_since), (4, true, 1));
        let seen = all(&[(Withdrawn, 1), (Failed, 1), (Succeeded, 2)]);
        assert_eq!((seen.ended, seen.failed_since, seen.withdrawn), (3, 0, 0));
        let seen = all(&[(Withdrawn, 1), (Withdrawn, 2)]);
        assert_eq!((seen.ended, seen.withdrawn, seen.slot), (2, 1, 1), "too much rather than less");
        let seen = all(&[(Failed, 1), (Withdrawn, 2)]);
        assert_eq!((seen.ended, seen.withdrawn, seen.slot), (2, 1, 2));
    }
}
