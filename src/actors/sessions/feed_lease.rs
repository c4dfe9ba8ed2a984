//! The lease under which user caches may be served, and counters of what changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ids::UserId;

/// How long after a beat was sent the cache may be served.
pub(super) const LEASE: Duration = Duration::from_secs(2);
/// Counters of changes; users that share one only cost each other a reload.
const STRIPES: usize = 4096;

/// Whether caches may be served, and what changed; shared by feed, caches and readers.
pub struct FeedState {
    started: Instant,
    /// Milliseconds after `started` until which the lease of the caches is valid.
    live_until: AtomicU64,
    /// All changes, counted before their stripe's.
    total: AtomicU64,
    changes: Box<[AtomicU64]>,
}

/// What had been seen when a statement began that reads a user, so that what it read can be cached
/// unless something changed since.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// Of this user.
    OfUser(u64),
    /// Of everybody: the statement tells whom it reads.
    OfAll(u64),
}

impl Default for FeedState {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            live_until: AtomicU64::new(0),
            total: AtomicU64::new(0),
            changes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl FeedState {
    /// Whether the lease is valid: everything committed before it was renewed has been delivered.
    pub fn is_live(&self) -> bool {
        self.now_ms() < self.live_until.load(Ordering::Acquire)
    }

    /// Whether everything that was committed longer ago than this has been delivered.
    pub fn has_all_since(&self, age: Duration) -> bool {
        let before_the_beat = millis(LEASE.saturating_sub(age));
        self.now_ms() + before_the_beat < self.live_until.load(Ordering::Acquire)
    }

    /// Number of changes seen for this user (and those that share its counter).
    pub fn stamp(&self, id: UserId) -> u64 {
        self.stripe(id).load(Ordering::SeqCst)
    }

    /// What has been seen by now, for a statement that may read any user.
    pub(super) fn seen_of_all(&self) -> Seen {
        Seen::OfAll(self.total.load(Ordering::SeqCst))
    }

    /// The number of changes of this user that had been seen then, if none came since.
    pub(super) fn unchanged(&self, id: UserId, seen: Seen) -> Option<u64> {
        let now = self.stamp(id);
        let is_unchanged = match seen {
            Seen::OfUser(then) => now == then,
            // A change that is counted between the two looks is found by this one; one that is counted
            // after it moves the stripe later, which voids what is cached with `now`.
            Seen::OfAll(then) => self.total.load(Ordering::SeqCst) == then,
        };
        is_unchanged.then_some(now)
    }

    pub(super) fn touch(&self, id: UserId) {
        self.total.fetch_add(1, Ordering::SeqCst);
        self.stripe(id).fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn touch_all(&self) {
        self.total.fetch_add(1, Ordering::SeqCst);
        for stripe in &self.changes {
            stripe.fetch_add(1, Ordering::SeqCst);
        }
    }

    pub(super) fn renew_lease(&self, at: Instant) {
        let until = at.duration_since(self.started) + LEASE;
        self.live_until.store(millis(until), Ordering::Release);
    }

    pub(super) fn end_lease(&self) {
        self.live_until.store(0, Ordering::Release);
    }

    fn now_ms(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn stripe(&self, id: UserId) -> &AtomicU64 {
        &self.changes[(id.0.as_u128() % STRIPES as u128) as usize]
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_says_up_to_when_all_changes_are_known() {
        let now = Instant::now();
        let (ten, second) = (Duration::from_secs(10), Duration::from_secs(1));
        let state = FeedState { started: now.checked_sub(ten).unwrap(), ..FeedState::default() };
        assert!(!state.is_live() && !state.has_all_since(ten), "there was no beat yet");
        state.renew_lease(now.checked_sub(second * 3 / 2).unwrap());
        assert!(state.is_live());
        for (age, is_known) in [(0, false), (1, false), (2, true), (3_600, true)] {
            assert_eq!(state.has_all_since(second * age), is_known, "{age} s");
        }
        state.renew_lease(now);
        assert!(state.has_all_since(second));
        state.end_lease();
        assert!(!state.has_all_since(ten));
    }
}
