//! Removes what nobody can use any more, from every table that fills by itself.
//!
//! - Owns: the rhythm of each table in `tables.rs`, and that of vacuuming (`vacuum.rs`). One node keeps
//!   house for all (`lease.rs`), does one batch at a time and rests after it (`turn.rs`, `pace.rs`).
//! - Caches: how far the walk through a table has come, and whether this node keeps house.
//! - Writes through: deletes, in tasks, each with a deadline; a batch leaves out the rows that somebody
//!   holds.
//! - On restart: every table is looked at again at once, from its beginning. What is over is refused
//!   anyway, so a node goes on without this actor.

mod lease;
mod pace;
mod sweep;
mod tables;
mod turn;
mod vacuum;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::lease::HouseLease;
use self::sweep::Outcome;
use self::tables::{Sweep, TABLES};
use self::vacuum::Schedule;
use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use super::runtime::supervisor::ChildSpec;
use super::runtime::tasks::Tasks;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::metrics::{ActorStats, HousekeepingStats, MailStats};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;

/// How often the lease is renewed and the rhythms are looked at; the shortest period that a table can
/// have.
const TICK: Duration = Duration::from_secs(10);

/// How long a stopping node waits for a statement under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Messages of the housekeeping.
pub enum HousekeepingMsg {
    /// Time to renew the lease, and to look which tables are due.
    Tick,
    /// The lease was renewed, or not.
    Renewed,
    /// The sweep of this table has ended; without an outcome if it panicked.
    Swept(usize, Option<Outcome>),
    /// Dead rows were looked at, and vacuumed if there were many.
    Vacuumed(Option<Schedule>),
    /// Panic.
    Crash,
}

impl MessageOrigin for HousekeepingMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Crash)
    }
}

impl CallBound for HousekeepingMsg {}

impl Crash for HousekeepingMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

/// The housekeeping as others see it; cheap to clone.
#[derive(Clone)]
pub struct Housekeeping {
    actor: Handle<HousekeepingMsg>,
    stats: Arc<HousekeepingStats>,
}

impl Housekeeping {
    /// What has been removed, table by table, and what it took.
    pub fn metrics(&self) -> &HousekeepingStats {
        &self.stats
    }

    /// Takes over bound and deadline of the configuration.
    pub fn tune(&self, config: &Config) {
        self.actor.tune(config);
    }

    /// The actor (fault tests).
    pub fn actor(&self) -> &Handle<HousekeepingMsg> {
        &self.actor
    }
}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Housekeeping, ChildSpec) {
    let slot: Arc<Slot<HousekeepingMsg>> = Arc::default();
    let stats = Arc::new(HousekeepingStats::new(TABLES.iter().map(|table| table.name)));
    let args = HousekeepingArgs {
        pool: parts.pool.clone(),
        clock: parts.clock.clone(),
        config: Arc::clone(&parts.config),
        mail_stats: Arc::clone(&parts.mail_stats),
        stats: Arc::clone(&stats),
        lease: Arc::new(HouseLease::new()),
        turn: Arc::default(),
        actor_stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("housekeeping", &slot, || HousekeepingActor, move || args.clone());
    let actor = Handle::configured("housekeeping", slot, &parts.config.load());
    (Housekeeping { actor, stats }, child)
}

/// The actor.
pub struct HousekeepingActor;

/// What the housekeeping works with.
#[derive(Clone)]
pub struct HousekeepingArgs {
    pub pool: MeasuredPool,
    pub clock: Clock,
    pub config: LiveConfig,
    pub mail_stats: Arc<MailStats>,
    pub stats: Arc<HousekeepingStats>,
    /// Whether this node keeps house; also for sweeps that an incarnation has left behind.
    lease: Arc<HouseLease>,
    /// Of whoever does a batch, or rests after one.
    turn: Arc<Mutex<()>>,
    pub actor_stats: Arc<ActorStats>,
}

/// When each table is due, and what is under way.
pub struct HousekeepingState {
    args: HousekeepingArgs,
    due: [Instant; TABLES.len()],
    /// What the last sweep of each table has left; none while one is under way.
    last: [Option<Outcome>; TABLES.len()],
    /// None while dead rows are looked at.
    vacuum: Option<Schedule>,
    is_renewing: bool,
    tasks: Tasks<HousekeepingMsg>,
    stop: CancellationToken,
    /// Stops the sweeps of an incarnation that is gone.
    _stop_with_this: DropGuard,
}

impl Actor for HousekeepingActor {
    type Msg = HousekeepingMsg;
    type State = HousekeepingState;
    type Arguments = HousekeepingArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<HousekeepingMsg>,
        args: HousekeepingArgs,
    ) -> Result<HousekeepingState, ActorProcessingErr> {
        myself.send_message(HousekeepingMsg::Tick)?;
        myself.send_interval(TICK, || HousekeepingMsg::Tick);
        let stop = CancellationToken::new();
        Ok(HousekeepingState {
            tasks: Tasks::of(&myself, &args.actor_stats),
            args,
            due: [Instant::now(); TABLES.len()],
            last: [Some(Outcome::NONE); TABLES.len()],
            vacuum: Some(Schedule::new()),
            is_renewing: false,
            _stop_with_this: stop.clone().drop_guard(),
            stop,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<HousekeepingMsg>,
        message: HousekeepingMsg,
        state: &mut HousekeepingState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HousekeepingMsg::Tick => state.renew(),
            HousekeepingMsg::Renewed => {
                state.is_renewing = false;
                state.start_due();
            }
            HousekeepingMsg::Swept(table, outcome) => state.swept(table, outcome),
            HousekeepingMsg::Vacuumed(schedule) => {
                state.vacuum = Some(schedule.unwrap_or_else(Schedule::new));
            }
            HousekeepingMsg::Crash => panic!("the housekeeping was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<HousekeepingMsg>,
        state: &mut HousekeepingState,
    ) -> Result<(), ActorProcessingErr> {
        state.stop.cancel();
        if !state.tasks.end_within(STOP_TIMEOUT).await {
            tracing::warn!("a sweep is still under way while the housekeeping stops");
        }
        Ok(())
    }
}

impl HousekeepingState {
    fn renew(&mut self) {
        if std::mem::replace(&mut self.is_renewing, true) {
            return;
        }
        self.tasks.spawn(renew(self.args.clone()), |_| HousekeepingMsg::Renewed);
    }

    fn start_due(&mut self) {
        let keeps_house = self.args.lease.is_held();
        self.args.stats.set_keeps_house(keeps_house);
        if !keeps_house {
            return;
        }
        let (now, config) = (Instant::now(), self.args.config.load_full());
        for (index, table) in TABLES.iter().enumerate() {
            let is_wanted = match &table.sweep {
                Sweep::Batches(_) => true,
                Sweep::Walk(walk) => (walk.is_wanted)(&config),
            };
            if !is_wanted || self.due[index] > now {
                continue;
            }
            let Some(last) = self.last[index].take() else { continue };
            let sweep = sweep::sweep(self.args.clone(), index, table, last, self.stop.clone());
            self.tasks.spawn(sweep, move |outcome| HousekeepingMsg::Swept(index, outcome));
        }
        let schedule = self.vacuum.take_if(|vacuum| config.housekeeping.vacuums && vacuum.is_due());
        if let Some(schedule) = schedule {
            let vacuum = vacuum::vacuum_by_need(self.args.clone(), schedule);
            self.tasks.spawn(vacuum, HousekeepingMsg::Vacuumed);
        }
    }

    fn swept(&mut self, table: usize, outcome: Option<Outcome>) {
        let outcome = outcome.unwrap_or(Outcome::PANIC);
        self.due[table] = Instant::now() + outcome.next;
        self.last[table] = Some(outcome);
    }
}

/// A lease that cannot be renewed ends by itself.
async fn renew(with: HousekeepingArgs) {
    let limit = with.config.load().actors.call_timeout;
    if let Err(error) = in_time(limit, with.lease.renew(&with.pool)).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "this node does not know whether it keeps house, will ask again"
        );
    }
}
