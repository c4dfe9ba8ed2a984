//! Attempts whose outcome is not known yet: each takes a place of what its account has left.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::counter_store::{CounterStore, Subject};
use crate::domain::rate_limit::{Policy, Verdict};

const SCOPE: &str = "attempts";

/// What becomes of somebody who waits this long for the outcome of others: a refusal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Failed attempts and those under way; cheap to clone.
///
/// Of attempts that are made at once no more than the limit are judged, whatever their outcome, for
/// each takes its place before it is looked at. A further one waits until a place is free or the
/// limit is reached, so that right ones do not hinder each other. The lock is held for a few
/// additions and never across an await.
#[derive(Clone)]
pub struct PendingAttempts {
    failures: CounterStore,
    under_way: Arc<Mutex<HashMap<Subject, UnderWay>>>,
}

#[derive(Default)]
struct UnderWay {
    count: u32,
    /// Told when one ends.
    ended: watch::Sender<()>,
}

/// Whether an attempt may be made now.
enum Place {
    Taken,
    Refused(Verdict),
    /// Others may use up what is left.
    Wait(watch::Receiver<()>),
}

impl PendingAttempts {
    /// None, on top of these failures.
    pub fn new(failures: CounterStore) -> Self {
        Self { failures, under_way: Arc::default() }
    }

    /// Takes a place of what `subject` names, or says when one is free again. The subject is asked
    /// for again after each wait: it may be another one then.
    pub async fn begin(
        &self,
        policy: Policy,
        subject: impl Fn() -> Subject + Send + Sync,
    ) -> Result<PendingAttempt, Verdict> {
        let waiting = async {
            loop {
                let subject = subject();
                match self.take(policy, subject) {
                    Place::Taken => {
                        return Ok(PendingAttempt { of: self.clone(), subject, policy });
                    }
                    Place::Refused(verdict) => return Err(verdict),
                    // An error says that the last one ended.
                    Place::Wait(mut ended) => drop(ended.changed().await),
                }
            }
        };
        let too_long = Verdict { allowed: false, remaining: 0, reset: Duration::from_secs(1) };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Err(too_long))
    }

    fn take(&self, policy: Policy, subject: Subject) -> Place {
        let mut under_way = self.lock();
        let verdict = self.failures.peek(SCOPE, subject, policy);
        if !verdict.allowed {
            return Place::Refused(verdict);
        }
        match under_way.entry(subject) {
            Entry::Occupied(taken) if taken.get().count > verdict.remaining => {
                Place::Wait(taken.get().ended.subscribe())
            }
            entry => {
                entry.or_default().count += 1;
                Place::Taken
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt under way; one that is dropped did not happen.
#[must_use = "an attempt counts only if its outcome is told"]
pub struct PendingAttempt {
    of: PendingAttempts,
    subject: Subject,
    policy: Policy,
}

impl PendingAttempt {
    /// It failed, and keeps its place; tells whether that was the last one that was left.
    pub fn failed(self) -> bool {
        // Counted before the place is given back, so that nobody slips in between.
        let verdict = self.of.failures.hit(SCOPE, self.subject, self.policy);
        verdict.allowed && verdict.remaining == 0
    }

    /// It succeeded: the count starts from zero.
    pub fn succeeded(self) {
        self.of.failures.forget(SCOPE, self.subject, self.policy);
    }
}

impl Drop for PendingAttempt {
    fn drop(&mut self) {
        let mut under_way = self.of.lock();
        let Entry::Occupied(mut entry) = under_way.entry(self.subject) else { return };
        entry.get_mut().count -= 1;
        if entry.get().count == 0 {
            // Whoever waits notices that there is nothing left to wait for.
            entry.remove();
        } else {
            entry.get().ended.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::domain::clock::Clock;

    /// Its window does not turn while a test runs.
    const POLICY: Policy = Policy { limit: 2, window: Duration::from_hours(100 * 365 * 24) };

    fn attempts() -> PendingAttempts {
        PendingAttempts::new(CounterStore::new(Clock::system()))
    }

    async fn begin(attempts: &PendingAttempts) -> Result<PendingAttempt, Verdict> {
        attempts.begin(POLICY, || Subject::All).await
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
