//! Nodes under load while something breaks: nothing that was acknowledged is lost, nobody is signed
//! out, nothing stale is served, and everything recovers by itself.
//!
//! `make test` runs each fault for a second, `make soak` for minutes (`KEYWRIGHT_SOAK`); the code
//! is the same. Each run ends with a table, which `make soak` keeps.

mod faults;
mod fleet;
mod puppet;
mod report;
mod traffic;

use std::time::Duration;

use self::faults::{Breakage, meet};
use self::fleet::{Fleet, Kind};
use self::report::Table;
use crate::support::soak;

/// How long a fault lasts in `make test`.
const SHORT: Duration = Duration::from_millis(1_200);

/// What the faults of one test have for themselves.
async fn endure(title: &'static str, kind: Kind, faults: &[Breakage]) {
    let mut fleet = Fleet::start(kind).await;
    let mut table = Table::new(title);
    let share = u32::try_from(faults.len()).unwrap();
    let length = soak::duration().map_or(SHORT, |duration| duration / share);
    for fault in faults {
        let row = meet(&mut fleet, *fault, length).await;
        table.add(&row);
        row.assert_endured();
    }
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_and_a_postgres_that_fails_lose_nothing() {
    let faults = [
        Breakage::NodeKilled,
        Breakage::PostgresStopped,
        Breakage::PostgresCrashed,
        Breakage::ConnectionsCut,
        Breakage::FeedCut,
        Breakage::PostgresSlow,
        Breakage::ReadOnly,
        Breakage::DiskFull,
        Breakage::RowsHeld,
        Breakage::RowsUnreadable,
        Breakage::PacketsSwallowed,
        Breakage::PostgresLate,
        Breakage::HasuraAway,
    ];
    endure("processes", Kind::Served, &faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actors_that_panic_every_second_and_clocks_that_jump_lose_nothing() {
    let faults = [Breakage::ActorsPanic, Breakage::ClockOfOneJumps, Breakage::AllClocksJump];
    endure("puppets", Kind::Puppet, &faults).await;
}
