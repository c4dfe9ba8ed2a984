//! What a run takes on the side of the servers: CPU time of processes, work of databases.

use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Handle;

use crate::cpu::{Processes, WatchedProcess};
use crate::database_counters::{Counts, DatabaseCounters};

/// Reads it all for one server.
pub(super) struct Meter {
    watched: Vec<WatchedProcess>,
    database: Option<DatabaseCounters>,
}

/// Everything at one point in time.
pub(super) struct Reading {
    cpu: Vec<(WatchedProcess, Option<Duration>)>,
    database: Option<Counts>,
}

/// What was used between readings.
#[derive(Debug, Default)]
pub struct Usage {
    /// CPU time of each watched process with its children; `None` if it was gone.
    pub cpu: Vec<(WatchedProcess, Option<Duration>)>,
    /// Work of the database, if it is known.
    pub database: Option<Counts>,
}

impl Meter {
    pub(super) const fn new(
        watched: Vec<WatchedProcess>,
        database: Option<DatabaseCounters>,
    ) -> Self {
        Self { watched, database }
    }

    /// On a thread that may block.
    pub(super) fn read(&mut self) -> anyhow::Result<Reading> {
        let database = match &mut self.database {
            Some(counters) => {
                let read = Handle::current().block_on(counters.read());
                Some(read.context("cannot read what the database has done")?)
            }
            None => None,
        };
        let mut cpu = Vec::new();
        if !self.watched.is_empty() {
            let processes = Processes::read();
            let pids: Vec<u32> = self.watched.iter().map(|watched| watched.pid).collect();
            let of_tree =
                |watched: &WatchedProcess| processes.cpu_of_tree_without(watched.pid, &pids);
            cpu.extend(self.watched.iter().map(|watched| (watched.clone(), of_tree(watched))));
        }
        Ok(Reading { cpu, database })
    }
}

impl Usage {
    /// Adds what lies between two readings.
    pub(super) fn add(&mut self, before: &Reading, after: &Reading) {
        if self.cpu.is_empty() {
            let zero = |(watched, _): &(WatchedProcess, _)| (watched.clone(), Some(Duration::ZERO));
            self.cpu = before.cpu.iter().map(zero).collect();
        }
        for ((_, sum), (before, after)) in
            self.cpu.iter_mut().zip(before.cpu.iter().zip(&after.cpu))
        {
            *sum = sum
                .zip(before.1.zip(after.1))
                .map(|(sum, (before, after))| sum + after.saturating_sub(before));
        }
        if let (Some(before), Some(after)) = (&before.database, &after.database) {
            let sum = self.database.take().unwrap_or_default();
            self.database = Some(sum.plus(after).minus(before));
        }
    }
}
