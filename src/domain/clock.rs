//! The only place that reads the wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

/// Wall-clock time, shared by everything in one server; tests move it without waiting.
///
/// Machines disagree about the time. What nodes decide together, whether a session lives and
/// whether a token is used too late, is therefore decided by Postgres' clock, in the statements,
/// with [`Clock::advanced`] added.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    advanced_ms: Arc<AtomicI64>,
    error_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self::default()
    }

    /// Now, in UTC, in the microseconds that Postgres can store.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn now(&self) -> OffsetDateTime {
        let now = OffsetDateTime::now_utc()
            + self.advanced()
            + Duration::milliseconds(self.error_ms.load(Ordering::Relaxed));
        let micros = now.nanosecond() / 1_000 * 1_000;
        now.replace_nanosecond(micros).unwrap_or(now)
    }

    /// Lets time pass (or go back), for Postgres too; for tests.
    pub fn advance(&self, by: Duration) {
        self.advanced_ms.fetch_add(milliseconds(by), Ordering::Relaxed);
    }

    /// Makes this machine's clock wrong, and no other; for tests.
    pub fn go_wrong(&self, by: Duration) {
        self.error_ms.fetch_add(milliseconds(by), Ordering::Relaxed);
    }

    /// The time that tests have let pass, which Postgres cannot know.
    pub fn advanced(&self) -> Duration {
        Duration::milliseconds(self.advanced_ms.load(Ordering::Relaxed))
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.whole_milliseconds()).unwrap_or(i64::MAX)
}
