//! Whether the counts that all nodes share can be reached, of attempts and of requests apart: what
//! holds up one of them does not make a node judge the other one alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::metrics::Counter;

/// How long nobody asks Postgres after it did not answer; then one does, for all.
const AWAY_FOR: Duration = Duration::from_secs(1);

/// What is counted in two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Attempts, which Postgres judges.
    Attempts,
    /// Requests, of which nodes tell each other.
    Requests,
}

impl Counting {
    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Requests => "requests",
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Reach(Arc<Shared>);

struct Shared {
    what: Counting,
    since: Instant,
    /// Milliseconds since then until somebody asks again; 0 while Postgres answers.
    away_until: AtomicU64,
    alone: Counter,
}

impl Reach {
    /// As if Postgres had answered.
    pub fn new(what: Counting) -> Self {
        let (since, (away_until, alone)) = (Instant::now(), Default::default());
        Self(Arc::new(Shared { what, since, away_until, alone }))
    }

    /// Whose it is.
    pub fn what(&self) -> Counting {
        self.0.what
    }

    /// Whether Postgres answered when it was last asked.
    pub fn is_there(&self) -> bool {
        self.0.away_until.load(Ordering::Relaxed) == 0
    }

    /// Whether to ask: always while Postgres answers, else one each second finds out.
    pub fn may_ask(&self) -> bool {
        let until = self.0.away_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now();
        let next = now + millis(AWAY_FOR);
        until <= now
            && (self.0.away_until)
                .compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Postgres has answered.
    pub fn answered(&self) {
        if self.0.away_until.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!(kind = self.0.what.name(), "limits are counted for all nodes again");
        }
    }

    /// It has not, or not in time.
    pub fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        let until = self.now() + millis(AWAY_FOR);
        if self.0.away_until.swap(until, Ordering::Relaxed) == 0 {
            tracing::warn!(
                kind = self.0.what.name(),
                error,
                "limits are counted by this node alone, Postgres does not answer"
            );
        }
    }

    /// Something was counted by this node alone.
    pub fn note_alone(&self) {
        self.0.alone.increment();
    }

    /// How often so far.
    pub fn alone(&self) -> u64 {
        self.0.alone.get()
    }

    /// At least 1, since 0 says that Postgres answers.
    fn now(&self) -> u64 {
        millis(self.0.since.elapsed()).max(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_postgres_is_away_one_in_a_while_finds_out() {
        let reach = Reach::new(Counting::Attempts);
        assert!(reach.may_ask() && reach.may_ask() && reach.is_there());
        reach.failed(&std::fmt::Error);
        assert!(!reach.may_ask() && !reach.is_there());
        reach.0.away_until.store(1, Ordering::Relaxed);
        while reach.now() < 2 {
            std::hint::spin_loop();
        }
        assert!(reach.may_ask(), "time to ask again");
        assert!(!reach.may_ask(), "somebody is asking");
        reach.answered();
        assert!(reach.may_ask() && reach.is_there());
    }
}
