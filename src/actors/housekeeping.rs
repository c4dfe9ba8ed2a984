//! Removes what nobody can use any more, from every table that fills by itself.
//!
//! - Owns: the rhythm of each table in `TABLES`, and that a table is swept once at a time here.
//!   Several nodes may sweep one table: a batch leaves out the rows that another one holds.
//! - Caches: nothing.
//! - Writes through: deletes, in tasks, a batch of `BATCH` rows a statement, each with a deadline.
//! - On restart: every table is looked at again at once. What is expired is refused anyway, so a node
//!   goes on without this actor.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use super::runtime::supervisor::ChildSpec;
use super::runtime::tasks::Tasks;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::metrics::{ActorStats, HousekeepingStats, MailStats};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;
use crate::persistence::{challenges, outbox, recipients, tickets, used_challenges};

/// How often the rhythms are looked at; the shortest period that a table can have.
const TICK: Duration = Duration::from_secs(10);

/// Rows that one statement removes at most, so that none holds many locks or takes long.
const BATCH: i64 = 1_000;

/// How long a stopping node waits for a statement under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A table that fills, and how a batch of it is removed.
struct Table {
    name: &'static str,
    every: Duration,
    /// Removes at most [`BATCH`] rows; returns how many there were.
    sweep: for<'a> fn(&'a HousekeepingArgs, OffsetDateTime) -> BoxFuture<'a, sqlx::Result<u64>>,
}

/// Every table that is swept; the order is that of the metrics.
const TABLES: [Table; 5] = [
    Table {
        name: "keywright_tickets",
        every: Duration::from_mins(10),
        sweep: |with, now| Box::pin(tickets::delete_expired(&with.pool, now, BATCH)),
    },
    Table {
        name: "keywright_challenges",
        every: TICK,
        sweep: |with, now| Box::pin(challenges::delete_expired(&with.pool, now, BATCH)),
    },
    Table {
        name: "keywright_used_challenges",
        every: Duration::from_mins(1),
        sweep: |with, now| Box::pin(used_challenges::delete_expired(&with.pool, now, BATCH)),
    },
    Table {
        name: "keywright_outbox",
        every: Duration::from_mins(1),
        sweep: |with, now| Box::pin(sweep_outbox(with, now)),
    },
    Table {
        name: "keywright_recipients",
        every: Duration::from_mins(10),
        sweep: |with, now| Box::pin(recipients::delete_expired(&with.pool, now, BATCH)),
    },
];

/// Mail whose ticket has expired is told of, since somebody waited for it.
async fn sweep_outbox(with: &HousekeepingArgs, now: OffsetDateTime) -> sqlx::Result<u64> {
    let removed = outbox::expire(&with.pool, now, BATCH).await?;
    for expired in &removed {
        with.mail_stats.expired.increment();
        tracing::warn!(
            message.id = %expired.id,
            template = expired.template,
            attempts = expired.attempts,
            last_error = expired.last_error,
            "mail expired undelivered"
        );
    }
    Ok(removed.len() as u64)
}

/// Messages of the housekeeping.
pub enum HousekeepingMsg {
    /// Time to look which tables are due.
    Tick,
    /// The sweep of this table has ended, however it ended.
    Swept(usize),
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
    /// What has been removed, table by table.
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
    let stats = Arc::new(HousekeepingStats::new(TABLES.map(|table| table.name)));
    let args = HousekeepingArgs {
        pool: parts.pool.clone(),
        clock: parts.clock.clone(),
        config: Arc::clone(&parts.config),
        mail_stats: Arc::clone(&parts.mail_stats),
        stats: Arc::clone(&stats),
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
    pub actor_stats: Arc<ActorStats>,
}

/// When each table is due, and which ones are being swept.
pub struct HousekeepingState {
    args: HousekeepingArgs,
    due: [Instant; TABLES.len()],
    sweeping: [bool; TABLES.len()],
    tasks: Tasks<HousekeepingMsg>,
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
        Ok(HousekeepingState {
            tasks: Tasks::of(&myself, &args.actor_stats),
            args,
            due: [Instant::now(); TABLES.len()],
            sweeping: [false; TABLES.len()],
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<HousekeepingMsg>,
        message: HousekeepingMsg,
        state: &mut HousekeepingState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HousekeepingMsg::Tick => state.start_due(),
            HousekeepingMsg::Swept(table) => state.sweeping[table] = false,
            HousekeepingMsg::Crash => panic!("the housekeeping was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<HousekeepingMsg>,
        state: &mut HousekeepingState,
    ) -> Result<(), ActorProcessingErr> {
        if !state.tasks.end_within(STOP_TIMEOUT).await {
            tracing::warn!("a sweep is still under way while the housekeeping stops");
        }
        Ok(())
    }
}

impl HousekeepingState {
    fn start_due(&mut self) {
        let now = Instant::now();
        for (index, table) in TABLES.iter().enumerate() {
            if self.sweeping[index] || self.due[index] > now {
                continue;
            }
            self.due[index] = now + table.every;
            self.sweeping[index] = true;
            let swept = move |_| HousekeepingMsg::Swept(index);
            self.tasks.spawn(sweep(self.args.clone(), index), swept);
        }
    }
}

/// Batch after batch until one is not full; a failure leaves the rest to the next time.
async fn sweep(with: HousekeepingArgs, index: usize) {
    let table = &TABLES[index];
    let (now, mut removed) = (with.clock.now(), 0);
    loop {
        let limit = with.config.load().actors.call_timeout;
        match in_time(limit, (table.sweep)(&with, now)).await {
            Ok(rows) => {
                removed += rows;
                with.stats.removed(index, rows);
                if rows < BATCH.unsigned_abs() {
                    break;
                }
            }
            Err(error) => {
                tracing::warn!(
                    table = table.name,
                    removed,
                    error = &error as &dyn std::error::Error,
                    "expired rows not removed, will be tried again"
                );
                return;
            }
        }
        // Whoever else wants a connection goes first.
        tokio::task::yield_now().await;
    }
    if removed > 0 {
        tracing::debug!(table = table.name, removed, "expired rows removed");
    }
}
