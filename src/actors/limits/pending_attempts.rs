//! Attempts whose outcome is not known yet: each takes a place of what its account has left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::attempt_ledger::{AttemptLedger, End, Judgement, Place};
use super::counter_store::{CounterStore, Subject};
use super::messages::RateLimiterMsg;
use crate::actors::runtime::handle::Handle;
use crate::domain::rate_limit::{Policy, Verdict};

const SCOPE: &str = "attempts";

/// What becomes of somebody who waits this long for the outcome of others: a refusal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Failed attempts and those under way; cheap to clone.
///
/// Of attempts that are made at once no more than the limit are judged, whatever their outcome, for
/// each takes its place before it is looked at. A further one waits until a place is free or the
/// limit is reached, so that right ones do not hinder each other.
///
/// Places are given out by Postgres, for all nodes. While it does not answer they are those of this
/// node, which knows the failures that it has seen itself. The lock is held for a few additions and
/// never across an await.
#[derive(Clone)]
pub struct PendingAttempts {
    /// Of this node.
    failures: CounterStore,
    under_way: Arc<Mutex<HashMap<Subject, UnderWay>>>,
    ledger: AttemptLedger,
}

#[derive(Default)]
struct UnderWay {
    count: u32,
    /// Told when one ends.
    ended: watch::Sender<()>,
}

/// Whether an attempt may be made now, if this node judges alone.
enum Alone {
    Taken,
    Refused(Verdict),
    /// Others may use up what is left.
    Wait(watch::Receiver<()>),
}

impl PendingAttempts {
    /// None, on top of these failures.
    pub fn new(failures: CounterStore, ledger: AttemptLedger) -> Self {
        Self { failures, under_way: Arc::default(), ledger }
    }

    /// Takes a place of what `subject` names, or says when one is free again. The subject is asked
    /// for again after each wait: it may be another one then.
    pub async fn begin<'a>(
        &'a self,
        limiter: &'a Handle<RateLimiterMsg>,
        policy: Policy,
        subject: impl Fn() -> Subject + Send + Sync,
    ) -> Result<PendingAttempt<'a>, Verdict> {
        let waiting = async {
            loop {
                let asked_for = subject();
                let key = self.ledger.name(SCOPE, asked_for, policy);
                let place = match self.ledger.ask(limiter, key, policy).await {
                    // A success that made room here has made it somebody else meanwhile, who has
                    // places of their own.
                    Judgement::Given(place) if subject() != asked_for => {
                        self.ledger.end(limiter, place, End::Withdrawn);
                        continue;
                    }
                    Judgement::Given(place) => Some(place),
                    Judgement::Refused(verdict) => return Err(verdict),
                    Judgement::Later => continue,
                    Judgement::Unknown => match self.take(policy, asked_for) {
                        Alone::Taken => {
                            self.ledger.note_alone();
                            None
                        }
                        Alone::Refused(verdict) => return Err(verdict),
                        Alone::Wait(mut ended) => {
                            // An error says that the last one ended.
                            let _ = ended.changed().await;
                            continue;
                        }
                    },
                };
                let (of, subject, end) = (self, asked_for, None);
                return Ok(PendingAttempt { of, limiter, subject, policy, place, end });
            }
        };
        let too_long = Verdict { allowed: false, remaining: 0, reset: Duration::from_secs(1) };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Err(too_long))
    }

    fn take(&self, policy: Policy, subject: Subject) -> Alone {
        let mut under_way = self.lock();
        let verdict = self.failures.peek(SCOPE, subject, policy);
        if !verdict.allowed {
            return Alone::Refused(verdict);
        }
        match under_way.entry(subject) {
            Entry::Occupied(taken) if taken.get().count > verdict.remaining => {
                Alone::Wait(taken.get().ended.subscribe())
            }
            entry => {
                entry.or_default().count += 1;
                Alone::Taken
            }
        }
    }

    fn give_back(&self, subject: Subject) {
        let mut under_way = self.lock();
        let Entry::Occupied(mut entry) = under_way.entry(subject) else { return };
        entry.get_mut().count -= 1;
        if entry.get().count == 0 {
            // Whoever waits notices that there is nothing left to wait for.
            entry.remove();
        } else {
            entry.get().ended.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt under way; one that is dropped did not happen.
#[must_use = "an attempt counts only if its outcome is told"]
pub struct PendingAttempt<'a> {
    of: &'a PendingAttempts,
    limiter: &'a Handle<RateLimiterMsg>,
    subject: Subject,
    policy: Policy,
    /// `None` if this node judges alone.
    place: Option<Place>,
    end: Option<End>,
}

impl PendingAttempt<'_> {
    /// It failed, and keeps its place; tells whether that was the last one that was left.
    pub fn failed(mut self) -> bool {
        self.end = Some(End::Failed);
        // Counted before the place is given back, so that nobody slips in between; and also if Postgres
        // has counted it, which may not answer the next time.
        let verdict = self.of.failures.hit(SCOPE, self.subject, self.policy);
        self.place.map_or(verdict.allowed && verdict.remaining == 0, |place| place.is_last)
    }

    /// It succeeded: the count starts from zero.
    pub fn succeeded(mut self) {
        self.end = Some(End::Succeeded);
        self.of.failures.forget(SCOPE, self.subject, self.policy);
        if self.place.is_none() {
            let key = self.of.ledger.name(SCOPE, self.subject, self.policy);
            self.of.ledger.forgive(self.limiter, key);
        }
    }
}

impl Drop for PendingAttempt<'_> {
    fn drop(&mut self) {
        match self.place {
            None => self.of.give_back(self.subject),
            Some(place) => {
                self.of.ledger.end(self.limiter, place, self.end.unwrap_or(End::Withdrawn));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::actors::limits::counter_key::CounterKey;
    use crate::actors::limits::reach::{Counting, Reach};
    use crate::domain::clock::Clock;
    use crate::sealing::Sealer;

    /// Its window does not turn while a test runs.
    const POLICY: Policy = Policy { limit: 2, window: Duration::from_hours(100 * 365 * 24) };

    /// Those of a node that judges alone.
    struct Attempts {
        attempts: PendingAttempts,
        limiter: Handle<RateLimiterMsg>,
    }

    impl std::ops::Deref for Attempts {
        type Target = PendingAttempts;

        fn deref(&self) -> &PendingAttempts {
            &self.attempts
        }
    }

    fn attempts() -> Attempts {
        let reach = Reach::new(Counting::Attempts);
        reach.failed(&std::fmt::Error);
        let key = CounterKey::derive(&Sealer::new(None, Some(&[7; 32])).unwrap());
        let ledger = AttemptLedger::new(key, Clock::system(), reach);
        let attempts = PendingAttempts::new(CounterStore::new(Clock::system()), ledger);
        let limiter = Handle::new("nobody", Arc::default(), 1, Duration::from_millis(1));
        Attempts { attempts, limiter }
    }

    async fn begin(attempts: &Attempts) -> Result<PendingAttempt<'_>, Verdict> {
        attempts.begin(&attempts.limiter, POLICY, || Subject::All).await
    }

    #[tokio::test]
    async fn places_are_given_out_before_the_outcome_and_the_rest_is_refused_with_it() {
        let attempts = attempts();
        let (one, two) =
            (begin(&attempts).await.ok().unwrap(), begin(&attempts).await.ok().unwrap());
        let mut third = Box::pin(begin(&attempts));
        assert!(third.as_mut().now_or_never().is_none(), "two may use up what is left");
        one.failed();
        assert!(third.as_mut().now_or_never().is_none(), "one still may");
        two.failed();
        assert!(third.await.is_err());
        assert!(attempts.lock().is_empty());
    }

    #[tokio::test]
    async fn a_success_starts_from_zero_and_one_without_outcome_did_not_happen() {
        let attempts = attempts();
        begin(&attempts).await.ok().unwrap().failed();
        let last = begin(&attempts).await.ok().unwrap();
        let mut waiting = Box::pin(begin(&attempts));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(last);
        waiting.await.ok().unwrap().succeeded();
        for _ in 0..POLICY.limit {
            begin(&attempts).await.ok().unwrap().failed();
        }
        assert!(begin(&attempts).await.is_err());
        assert!(attempts.lock().is_empty());
    }
}
