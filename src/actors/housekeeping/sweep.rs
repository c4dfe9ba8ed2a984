//! The sweep of a table, and when the next one is due.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::HousekeepingArgs;
use super::pace;
use super::tables::{BATCH, Batches, Sweep, Table};
use super::turn::Sweeper;
use super::walk::{Trip, Walk};
use crate::persistence::table_walk::Place;

/// After a failure, and while another node keeps house.
const RETRY: Duration = Duration::from_mins(1);

/// Between two walks through a table; twice as long after each that found nothing.
const WALK_EVERY: Duration = Duration::from_mins(10);
const WALK_EVERY_MOST: Duration = Duration::from_hours(1);

/// What the sweep of a table leaves for the next one.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// When the next one is due.
    pub next: Duration,
    /// Where its walk begins.
    pub at: Place,
    /// Between two whole walks.
    pub every: Duration,
}

impl Outcome {
    /// Of a table that was not looked at yet.
    pub(super) const NONE: Self =
        Self { next: Duration::ZERO, at: Place::START, every: WALK_EVERY };
    /// Of a sweep that has left nothing.
    pub(super) const PANIC: Self = Self { next: RETRY, ..Self::NONE };
}

/// Sweeps a table, from where the sweep before has come to.
pub(super) async fn sweep(
    with: HousekeepingArgs,
    place: usize,
    table: &'static Table,
    before: Outcome,
    stop: CancellationToken,
) -> Outcome {
    let longest_rest = match &table.sweep {
        Sweep::Batches(_) => pace::SHORT,
        Sweep::Walk(walk) => walk.longest_rest,
    };
    let stats = with.stats.table(place);
    let sweeper = Sweeper { with: &with, stats, longest_rest, stop: &stop };
    match &table.sweep {
        Sweep::Batches(batches) => {
            sweeper.batches(table, batches).await;
            Outcome { next: batches.every, ..before }
        }
        Sweep::Walk(walk) => {
            let outcome = sweeper.walk(table, walk, before).await;
            sweeper.stats.walks(0, 0);
            outcome
        }
    }
}

impl Sweeper<'_> {
    /// Batch after batch until one is not full; a failure leaves the rest to the next time.
    async fn batches(&self, table: &Table, batches: &Batches) {
        let (now, mut removed) = (self.with.clock.now(), 0);
        while let Some(batch) = self.batch((batches.remove)(self.with, now)).await {
            match batch.result {
                Ok(rows) => {
                    removed += rows;
                    self.stats.removed.add(rows);
                    if rows < BATCH.unsigned_abs() {
                        return self.ended(table, removed);
                    }
                }
                Err(error) => return failed(table, removed, &error),
            }
        }
    }

    async fn walk(&self, table: &Table, walk: &'static Walk, before: Outcome) -> Outcome {
        let mut trip = Trip::new(self, walk, before.at, self.with.clock.now());
        let is_over = trip.go().await;
        let Trip { at, removed, refused, first_refusal, .. } = trip;
        if let Some(error) = first_refusal {
            tracing::warn!(
                table = table.name,
                removed,
                refused,
                error = &error as &dyn std::error::Error,
                "Postgres does not let go of rows that are over, the others went"
            );
        }
        match is_over {
            Ok(false) => Outcome { next: RETRY, at, ..before },
            Ok(true) => {
                self.ended(table, removed);
                let every = match removed {
                    0 => (2 * before.every).min(WALK_EVERY_MOST),
                    _ => WALK_EVERY,
                };
                Outcome { next: every, at: Place::START, every }
            }
            Err(error) => {
                failed(table, removed, &error);
                Outcome { next: RETRY, at, ..before }
            }
        }
    }

    fn ended(&self, table: &Table, removed: u64) {
        self.stats.end(self.with.clock.now());
        if removed > 0 {
            tracing::debug!(table = table.name, removed, "expired rows removed");
        }
    }
}

fn failed(table: &Table, removed: u64, error: &sqlx::Error) {
    tracing::warn!(
        table = table.name,
        removed,
        error = error as &dyn std::error::Error,
        "expired rows not removed, will be tried again"
    );
}
