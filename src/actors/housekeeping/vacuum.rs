//! Vacuums the table of sessions when it needs it before autovacuum comes.
//!
//! Autovacuum looks at a database once a minute. A few hundred sessions that refresh without pause
//! leave a million dead rows behind until then, and an index a thousand times as large as theirs,
//! which every refresh goes through.

use std::time::Duration;

use tokio::time::Instant;

use super::HousekeepingArgs;
use super::pace;
use crate::persistence::dead_rows::{self, DeadRows};
use crate::persistence::time_limit::in_time;

/// Dead rows of which a table of any size has room.
const DEAD: i64 = 50_000;

/// Dead rows for each live one. A vacuum costs as much as there are rows of both kinds, so each dead
/// row costs a quarter more than it would alone, and large tables are left to autovacuum.
const DEAD_FOR_EACH_LIVE: i64 = 4;

/// Longest run of a vacuum.
const LIMIT: Duration = Duration::from_mins(1);

/// Between two vacuums; doubled, up to the longest, after each that had no effect: somebody still
/// sees the dead rows, or autovacuum is at work.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MOST: Duration = Duration::from_mins(10);

/// How late statistics may be.
const STATISTICS_DELAY: Duration = Duration::from_millis(1_100);

/// When the table is vacuumed next.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    due: Instant,
    pause: Duration,
    /// A failure was told of, and nothing has gone well since.
    was_told: bool,
}

impl Schedule {
    /// At once, if it needs it.
    pub(super) fn new() -> Self {
        Self { due: Instant::now(), pause: PAUSE, was_told: false }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    fn ended(self, had_effect: bool) -> Self {
        let pause = if had_effect { PAUSE } else { (2 * self.pause).min(PAUSE_MOST) };
        Self { due: Instant::now() + self.pause, pause, was_told: false }
    }

    /// Says why once, not each time.
    fn failed(self, error: &(dyn std::error::Error + 'static)) -> Self {
        if !self.was_told {
            tracing::warn!(error, "dead sessions are left to autovacuum");
        }
        Self { was_told: true, ..self.ended(false) }
    }
}

/// Why there is no vacuum.
#[derive(Debug, thiserror::Error)]
#[error("the role of POSTGRES_CONNECTION may not vacuum auth.refresh_tokens")]
struct NotAllowed;

/// Vacuums the table if most of its rows are dead; returns when to look again.
pub(super) async fn vacuum_by_need(with: HousekeepingArgs, schedule: Schedule) -> Schedule {
    // One connection more is for requests.
    if pace::is_full(&with.pool) {
        return schedule;
    }
    let limit = with.config.load().actors.call_timeout;
    let before = match in_time(limit, dead_rows::count(&with.pool)).await {
        Ok(Some(rows)) if is_needed(rows) => rows,
        Ok(_) => return Schedule { due: Instant::now(), pause: PAUSE, ..schedule },
        Err(error) => return schedule.failed(&error),
    };
    if !before.may_vacuum {
        return schedule.failed(&NotAllowed);
    }
    let stats = &with.stats.vacuum;
    let began = Instant::now();
    let done = in_time(LIMIT + limit, dead_rows::vacuum(&with.pool, LIMIT)).await;
    stats.busy.add(began.elapsed());
    stats.ended.set(with.clock.now());
    if let Err(error) = done {
        stats.failed.increment();
        return schedule.failed(&error);
    }
    let is_better = async || {
        let after = in_time(limit, dead_rows::count(&with.pool)).await;
        matches!(after, Ok(Some(after)) if after.dead < before.dead / 2)
    };
    let mut had_effect = is_better().await;
    if !had_effect {
        statistics_arrive().await;
        had_effect = is_better().await;
    }
    if had_effect { &stats.done } else { &stats.without_effect }.increment();
    tracing::debug!(dead = before.dead, had_effect, "dead sessions vacuumed");
    schedule.ended(had_effect)
}

/// Postgres 14 collects statistics in a process of its own and shows them half a second late.
#[expect(clippy::disallowed_methods, reason = "nothing tells when statistics have arrived")]
async fn statistics_arrive() {
    tokio::time::sleep(STATISTICS_DELAY).await;
}

const fn is_needed(rows: DeadRows) -> bool {
    rows.dead > DEAD && rows.dead / DEAD_FOR_EACH_LIVE > rows.live
}
