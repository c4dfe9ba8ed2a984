//! One batch at a time, with a rest after each, while this node keeps house.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::HousekeepingArgs;
use super::pace;
use crate::metrics::TableStats;
use crate::persistence::time_limit::in_time;

/// The sweep of one table.
pub(super) struct Sweeper<'a> {
    pub(super) with: &'a HousekeepingArgs,
    pub(super) stats: &'a TableStats,
    pub(super) longest_rest: Duration,
    pub(super) stop: &'a CancellationToken,
}

/// A batch that was done, however it ended.
pub(super) struct Done<T> {
    pub(super) result: sqlx::Result<T>,
    pub(super) took: Duration,
}

impl Sweeper<'_> {
    /// Does a batch when it is its turn, and rests after it; `None` if it is not to be done.
    ///
    /// There is one at a time on a node, of whatever table, and it takes its rest for all.
    pub(super) async fn batch<T>(
        &self,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> Option<Done<T>> {
        let turn = self.stop.run_until_cancelled(self.with.turn.lock()).await?;
        if !self.with.lease.is_held() {
            return None;
        }
        let began = Instant::now();
        let result = in_time(self.limit(), work).await;
        let took = began.elapsed();
        self.stats.worked(took);
        for _ in 0..pace::RESTS_WHEN_FULL {
            // A node that stops has no time to rest.
            let rest = pace::rest(took, self.longest_rest);
            let is_stopped = timeout(rest, self.stop.cancelled()).await.is_ok();
            if is_stopped || !pace::is_full(&self.with.pool) {
                break;
            }
        }
        drop(turn);
        Some(Done { result, took })
    }

    /// Postgres ends a statement before that.
    fn limit(&self) -> Duration {
        let config = self.with.config.load();
        config.actors.call_timeout.max(config.database.statement_timeout + Duration::from_secs(1))
    }
}
