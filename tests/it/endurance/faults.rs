//! What breaks, how it is mended by whoever is responsible for it, and how long nodes need after that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::AssertSqlSafe;

use super::fleet::{Fleet, NODES, time_until};
use super::puppet::{ACTORS, Order};
use super::report::{LONGEST_RECOVERY, Row};
use super::traffic::{Seen, under_traffic};
use crate::support::cluster::End;
use crate::support::link::{Fault, On};
use crate::support::process::ServerProcess;

/// How long a fault lasts the first time that would be worth more: one of these is enough in
/// `make test`.
const FIRST_MS: u64 = 1_500;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breakage {
    /// SIGKILL, and a new process a little later.
    NodeKilled,
    PostgresStopped,
    PostgresCrashed,
    /// All connections to Postgres end.
    ConnectionsCut,
    /// Those that listen for changes end, and no new ones are made.
    FeedCut,
    /// Everything takes a tenth of a second on the way, in either direction.
    PostgresSlow,
    ReadOnly,
    /// No file can grow.
    DiskFull,
    /// Somebody holds the rows of the ten sessions that were refreshed last.
    RowsHeld,
    /// Users have times that do not exist here.
    RowsUnreadable,
    /// The network takes everything and brings nothing.
    PacketsSwallowed,
    /// A node starts before Postgres does, as after a power cut.
    PostgresLate,
    /// A node starts while Hasura takes connections and says nothing.
    HasuraAway,
    /// Every actor of every node panics, every second.
    ActorsPanic,
    /// An hour forward, then two hours back.
    ClockOfOneJumps,
    AllClocksJump,
}

impl Breakage {
    fn name(self) -> &'static str {
        match self {
            Self::NodeKilled => "one of three nodes killed (SIGKILL)",
            Self::PostgresStopped => "Postgres stopped (fast), restarted",
            Self::PostgresCrashed => "Postgres crashed (immediate), restarted",
            Self::ConnectionsCut => "all connections to Postgres cut",
            Self::FeedCut => "connections of the change feed cut",
            Self::PostgresSlow => "Postgres 200 ms away",
            Self::ReadOnly => "Postgres read-only",
            Self::DiskFull => "Postgres' disk full",
            Self::RowsHeld => "the rows of ten sessions held",
            Self::RowsUnreadable => "users with times at the ends of their type",
            Self::PacketsSwallowed => "the network swallows everything",
            Self::PostgresLate => "a node starts before Postgres",
            Self::HasuraAway => "a node starts while Hasura hangs",
            Self::ActorsPanic => "every actor panics every second",
            Self::ClockOfOneJumps => "the clock of one node jumps by hours",
            Self::AllClocksJump => "all clocks jump by hours",
        }
    }

    /// Whether requests cannot but notice.
    fn must_be_felt(self) -> bool {
        match self {
            Self::NodeKilled
            | Self::PostgresStopped
            | Self::PostgresCrashed
            | Self::ConnectionsCut
            | Self::ReadOnly
            | Self::DiskFull
            | Self::RowsHeld
            | Self::PacketsSwallowed
            | Self::PostgresLate
            | Self::HasuraAway => true,
            Self::FeedCut
            | Self::RowsUnreadable
            | Self::PostgresSlow
            | Self::ActorsPanic
            | Self::ClockOfOneJumps
            | Self::AllClocksJump => false,
        }
    }
}

/// Traffic before, during and after a fault that comes again until `length` is over.
pub(super) async fn meet(fleet: &mut Fleet, fault: Breakage, length: Duration) -> Row {
    let (directory, direct) = (fleet.directory(), fleet.cluster.direct());
    let began = Instant::now();
    let memory = AtomicU64::new(0);
    let work = async |seen: &Seen| {
        seen.more_refreshes(20).await;
        let began = Instant::now();
        let mut longest = Some(Duration::ZERO);
        let mut cycle = 0;
        while cycle == 0 || began.elapsed() < length {
            let recovery = Mending { fleet, memory: &memory }.cycle(fault, cycle, seen).await;
            longest = longest.zip(recovery).map(|(one, other)| one.max(other));
            cycle += 1;
        }
        seen.more_refreshes(20).await;
        longest
    };
    let (recovery, seen) = under_traffic(&directory, direct, work).await;
    Row {
        fault: fault.name().to_owned(),
        must_be_felt: fault.must_be_felt(),
        duration: began.elapsed(),
        recovery,
        memory: memory.into_inner(),
        ..seen.into_row()
    }
}

/// Every actor of this node must have been restarted so many times.
fn assert_restarted(node: &ServerProcess, times: usize) {
    let log = node.log();
    for actor in ACTORS {
        let restarts = log.iter().filter(|line| line["actor"] == *actor).count();
        assert!(restarts >= times, "{actor}: {restarts} of {times} restarts");
    }
}

/// Whoever looks after nodes and Postgres.
struct Mending<'a> {
    fleet: &'a mut Fleet,
    memory: &'a AtomicU64,
}

impl Mending<'_> {
    /// Breaks it, mends it, and measures how long the nodes need after that.
    async fn cycle(&mut self, fault: Breakage, number: usize, seen: &Seen) -> Option<Duration> {
        match fault {
            Breakage::NodeKilled => {
                let node = number % NODES;
                self.fleet.nodes[node].kill().await;
                self.pass(300).await;
                self.fleet.replace(node).await;
            }
            Breakage::PostgresStopped | Breakage::PostgresCrashed => {
                let is_crash = fault == Breakage::PostgresCrashed;
                let end = if is_crash { End::Immediate } else { End::Fast };
                self.fleet.cluster.stop(end).await;
                self.pass(300).await;
                self.fleet.cluster.restart().await;
            }
            Breakage::ConnectionsCut => {
                for _ in 0..4 {
                    self.fleet.cluster.link().set(Fault::Cut(On::All));
                    self.pass(100).await;
                    self.fleet.cluster.link().set(Fault::None);
                    self.pass(200).await;
                }
            }
            Breakage::FeedCut => self.link(Fault::Cut(On::Listeners)).await,
            Breakage::PostgresSlow => self.link(Fault::Delay(Duration::from_millis(100))).await,
            Breakage::ReadOnly => {
                self.fleet.cluster.set_read_only(true).await;
                self.pass(700).await;
                self.fleet.cluster.set_read_only(false).await;
            }
            Breakage::DiskFull => {
                self.fleet.cluster.fill_disk(true);
                // Long enough, in a soak, for checkpoints and whatever else needs room.
                self.pass(if number == 0 { FIRST_MS } else { 60_000 }).await;
                self.fleet.cluster.fill_disk(false);
                self.fleet.cluster.restart_if_gone().await;
            }
            Breakage::RowsHeld => {
                let mut holder = self.fleet.cluster.connect().await;
                let hold = "begin; select from auth.refresh_tokens
                             order by keywright_rotated_at desc nulls last limit 10 for update";
                sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
                self.pass(if number == 0 { FIRST_MS } else { 60_000 }).await;
                sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
            }
            Breakage::RowsUnreadable => {
                let mut other = self.fleet.cluster.connect().await;
                for time in ["infinity", "-infinity", "294276-01-01", "2020-01-01"] {
                    let sql = format!("update auth.users set created_at = '{time}'");
                    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut other).await.unwrap();
                    self.pass(300).await;
                }
            }
            Breakage::PacketsSwallowed => {
                self.fleet.cluster.link().set(Fault::Freeze(On::All));
                self.pass(if number == 0 { FIRST_MS } else { 20_000 }).await;
                self.fleet.cluster.link().set(Fault::None);
            }
            Breakage::PostgresLate => {
                let node = number % NODES;
                self.fleet.nodes[node].kill().await;
                self.fleet.cluster.stop(End::Fast).await;
                self.fleet.replace_before_postgres(node).await;
            }
            Breakage::HasuraAway => {
                let node = number % NODES;
                self.fleet.nodes[node].kill().await;
                self.pass(300).await;
                self.fleet.replace_without_hasura(node).await;
            }
            Breakage::ActorsPanic => {
                for node in &mut self.fleet.nodes {
                    node.say(&Order::Panic.line()).await;
                }
                self.pass(1_000).await;
                for node in &self.fleet.nodes {
                    assert_restarted(node, number + 1);
                }
            }
            Breakage::ClockOfOneJumps => self.jump(number % NODES..number % NODES + 1).await,
            Breakage::AllClocksJump => self.jump(0..NODES).await,
        }
        self.recovery(seen).await
    }

    /// The network does this for a while.
    async fn link(&mut self, fault: Fault) {
        self.fleet.cluster.link().set(fault);
        self.pass(1_000).await;
        self.fleet.cluster.link().set(Fault::None);
    }

    async fn jump(&mut self, nodes: std::ops::Range<usize>) {
        for seconds in [3_600, -7_200, 3_600] {
            for node in &mut self.fleet.nodes[nodes.clone()] {
                node.say(&Order::Clock(seconds).line()).await;
            }
            self.pass(200).await;
        }
    }

    /// Until every node is ready and clients get on.
    async fn recovery(&self, seen: &Seen) -> Option<Duration> {
        let (directory, goal) = (self.fleet.directory(), seen.refreshes() + 2 * NODES);
        time_until(LONGEST_RECOVERY, async || {
            self.look();
            seen.refreshes() >= goal && directory.is_ready().await
        })
        .await
    }

    /// The fault lasts so many milliseconds.
    async fn pass(&self, milliseconds: u64) {
        time_until(Duration::from_millis(milliseconds), async || {
            self.look();
            false
        })
        .await;
    }

    fn look(&self) {
        self.memory.fetch_max(self.fleet.memory(), Ordering::SeqCst);
    }
}
