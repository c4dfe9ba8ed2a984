//! Delivers the mail of the outbox.
//!
//! - Owns: how many deliveries this node has in flight.
//! - Caches: nothing; what is to be sent is in `auth.keywright_outbox`.
//! - Writes through: claims, outcomes. A claim is a lease, so that every message has one sender at a
//!   time across nodes, and that of a sender who died becomes due again.
//! - On restart: deliveries that are running go on by themselves; the next sweep finds the rest.
//!
//! A mail is sent at least once: twice only if the process dies, or Postgres goes away, between the
//! server's acceptance and the deletion of the row (`Message-ID` is then the same).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use super::runtime::supervisor::ChildSpec;
use super::runtime::tasks::Tasks;
use crate::domain::clock::Clock;
use crate::domain::ids::MessageId;
use crate::domain::mail::OutboxMessage;
use crate::metrics::{ActorStats, MailStats};
use crate::notify::sender::{MailSender, describe};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::outbox;

/// What the courier is told.
pub enum CourierMsg {
    /// This message was committed just now: a hint; without it the next sweep finds the message.
    Deliver(MessageId),
    /// Look for messages that are due.
    Sweep,
    /// A delivery task found a due message; there may be more.
    FoundMore,
    /// A delivery task has ended.
    Finished { storage: StorageOutcome },
    /// Panics (fault tests).
    Crash,
}

impl MessageOrigin for CourierMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Deliver(_) | Self::Crash)
    }
}

impl Crash for CourierMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

/// What a delivery task has learnt about Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageOutcome {
    Unknown,
    Works,
    Fails,
}

/// Limits and intervals; the defaults are right for production.
#[derive(Clone, Copy, Debug)]
pub struct CourierOptions {
    /// Deliveries at once on this node.
    pub concurrency: usize,
    /// How often due messages are looked for; also the resolution of retries.
    pub sweep_every: Duration,
    /// How long a claim lasts; longer than any delivery.
    pub lease: Duration,
    /// Delay after the first failure, doubled at each further one.
    pub backoff_min: Duration,
    pub backoff_max: Duration,
    /// The same for a recipient or message that the server refuses for good: it may be the server's
    /// setting that is wrong, so the message waits, but is not pressed.
    pub refused_backoff_min: Duration,
    pub refused_backoff_max: Duration,
    /// How long a stopping courier waits for deliveries in flight.
    pub stop_grace: Duration,
}

impl Default for CourierOptions {
    fn default() -> Self {
        Self {
            concurrency: 16,
            sweep_every: Duration::from_secs(1),
            lease: Duration::from_mins(2),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_mins(5),
            refused_backoff_min: Duration::from_mins(1),
            refused_backoff_max: Duration::from_hours(6),
            stop_grace: Duration::from_secs(5),
        }
    }
}

impl CourierOptions {
    /// How long to wait after the given number of attempts.
    fn backoff(&self, attempts: i32, refused: bool) -> Duration {
        let (min, max) = if refused {
            (self.refused_backoff_min, self.refused_backoff_max)
        } else {
            (self.backoff_min, self.backoff_max)
        };
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
        min.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(max)
    }
}

/// What a courier works with.
#[derive(Clone)]
pub struct CourierArgs {
    pub pool: MeasuredPool,
    /// The sender in force; a delivery uses the one of its start.
    pub mail: Arc<ArcSwap<MailSender>>,
    pub clock: Clock,
    /// Asked again at each use, since operators may change them.
    pub options: Arc<dyn Fn() -> CourierOptions + Send + Sync>,
    pub stats: Arc<MailStats>,
    pub actor_stats: Arc<ActorStats>,
}

impl CallBound for CourierMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<CourierMsg>, ChildSpec) {
    let slot: Arc<Slot<CourierMsg>> = Arc::default();
    let config = Arc::clone(&parts.config);
    let options = move || CourierOptions {
        concurrency: config.load().actors.courier_concurrency,
        ..CourierOptions::default()
    };
    let args = CourierArgs {
        pool: parts.pool.clone(),
        mail: Arc::clone(&parts.mail),
        clock: parts.clock.clone(),
        options: Arc::new(options),
        stats: Arc::clone(&parts.mail_stats),
        actor_stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("courier", &slot, || Courier, move || args.clone());
    (Handle::configured("courier", slot, &parts.config.load()), child)
}

/// The actor.
pub struct Courier;

/// What the courier remembers.
pub struct CourierState {
    args: CourierArgs,
    in_flight: usize,
    /// A hint came while every place was taken.
    missed: bool,
    storage_failing: bool,
    tasks: Tasks<CourierMsg>,
    /// Cancelled when the courier ends, however it ends: tasks finish their message and go.
    no_more: CancellationToken,
    _no_more_on_drop: DropGuard,
    /// Cancelled when waiting has been long enough.
    abandon: CancellationToken,
}

impl Actor for Courier {
    type Msg = CourierMsg;
    type State = CourierState;
    type Arguments = CourierArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<CourierMsg>,
        args: CourierArgs,
    ) -> Result<CourierState, ActorProcessingErr> {
        let no_more = CancellationToken::new();
        args.stats.in_flight.store(0, Ordering::Relaxed);
        Ok(CourierState {
            tasks: Tasks::of(&myself, &args.actor_stats),
            args,
            in_flight: 0,
            missed: false,
            storage_failing: false,
            _no_more_on_drop: no_more.clone().drop_guard(),
            no_more,
            abandon: CancellationToken::new(),
        })
    }

    async fn post_start(
        &self,
        myself: ActorRef<CourierMsg>,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        myself.send_message(CourierMsg::Sweep)?;
        myself.send_interval((state.args.options)().sweep_every, || CourierMsg::Sweep);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<CourierMsg>,
        message: CourierMsg,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CourierMsg::Deliver(id) => state.start(&myself, Work::Message(id)),
            CourierMsg::Sweep | CourierMsg::FoundMore => state.start(&myself, Work::Due),
            CourierMsg::Finished { storage } => state.finished(&myself, storage),
            CourierMsg::Crash => panic!("crash requested"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<CourierMsg>,
        state: &mut CourierState,
    ) -> Result<(), ActorProcessingErr> {
        state.no_more.cancel();
        if !state.tasks.end_within((state.args.options)().stop_grace).await {
            tracing::warn!(deliveries = state.tasks.len(), "abandoning mail deliveries");
            state.abandon.cancel();
            state.tasks.end_within(Duration::from_secs(1)).await;
        }
        Ok(())
    }
}

/// What a delivery task starts with.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// This message, and no other.
    Message(MessageId),
    /// Whatever is due, one message after the other.
    Due,
}

impl CourierState {
    /// Takes a place for a delivery task, if there is one.
    fn start(&mut self, myself: &ActorRef<CourierMsg>, work: Work) {
        if !self.args.mail.load().can_send() {
            return;
        }
        if self.in_flight >= (self.args.options)().concurrency {
            self.missed = true;
            return;
        }
        self.in_flight += 1;
        self.args.stats.in_flight.store(self.in_flight, Ordering::Relaxed);
        let task = Task {
            args: self.args.clone(),
            no_more: self.no_more.clone(),
            abandon: self.abandon.clone(),
            courier: myself.clone(),
        };
        let finished = |storage: Option<_>| CourierMsg::Finished {
            storage: storage.unwrap_or(StorageOutcome::Unknown),
        };
        self.tasks.spawn(task.run(work), finished);
    }

    fn finished(&mut self, myself: &ActorRef<CourierMsg>, storage: StorageOutcome) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.args.stats.in_flight.store(self.in_flight, Ordering::Relaxed);
        match storage {
            StorageOutcome::Fails if !self.storage_failing => {
                self.storage_failing = true;
                tracing::error!("the outbox cannot be reached, mail waits");
            }
            StorageOutcome::Works if self.storage_failing => {
                self.storage_failing = false;
                tracing::info!("the outbox can be reached again");
            }
            _ => {}
        }
        if self.missed {
            self.missed = false;
            self.start(myself, Work::Due);
        }
    }
}

/// One delivery task.
struct Task {
    args: CourierArgs,
    no_more: CancellationToken,
    abandon: CancellationToken,
    courier: ActorRef<CourierMsg>,
}

impl Task {
    async fn run(self, work: Work) -> StorageOutcome {
        match self.work(work).await {
            Ok(()) => StorageOutcome::Works,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "outbox failed");
                StorageOutcome::Fails
            }
        }
    }

    async fn work(&self, work: Work) -> sqlx::Result<()> {
        let pool = &self.args.pool;
        if let Work::Message(id) = work {
            let (now, lease_end) = self.lease();
            if let Some(message) = outbox::claim_one(pool, id, now, lease_end).await? {
                self.deliver(message).await?;
            }
            return Ok(());
        }
        while self.args.mail.load().can_send() && !self.no_more.is_cancelled() {
            let (now, lease_end) = self.lease();
            let claimed = outbox::claim_due(pool, now, lease_end, 1).await?;
            let Some(message) = claimed.into_iter().next() else { break };
            let _ = self.courier.send_message(CourierMsg::FoundMore);
            self.deliver(message).await?;
        }
        Ok(())
    }

    fn lease(&self) -> (OffsetDateTime, OffsetDateTime) {
        let now = self.args.clock.now();
        (now, now + (self.args.options)().lease)
    }

    /// Sends a claimed message and writes down what came of it.
    async fn deliver(&self, message: OutboxMessage) -> sqlx::Result<()> {
        let Task { args, .. } = self;
        let started = Instant::now();
        let sender = args.mail.load_full();
        let sent = tokio::select! {
            biased;
            sent = sender.send(&message) => sent,
            () = self.abandon.cancelled() => {
                let now = args.clock.now();
                let reason = "abandoned by a stopping node";
                return outbox::failed(&args.pool, message.id, message.attempts, reason, now).await;
            }
        };
        args.stats.seconds.record_time(started.elapsed());
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match sent {
            Ok(()) => {
                args.stats.sent.increment();
                tracing::info!(
                    message.id = %message.id,
                    template = message.template.name(),
                    attempt = message.attempts,
                    elapsed_ms,
                    "mail delivered"
                );
                self.forget(message.id).await
            }
            Err(error) => {
                let counter =
                    if error.is_permanent() { &args.stats.refused } else { &args.stats.failed };
                counter.increment();
                let cause = describe(&error, &message);
                let delay = (args.options)().backoff(message.attempts, error.is_permanent());
                tracing::warn!(
                    message.id = %message.id,
                    template = message.template.name(),
                    attempt = message.attempts,
                    elapsed_ms,
                    retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                    cause,
                    "mail not delivered"
                );
                let next = args.clock.now() + delay;
                outbox::failed(&args.pool, message.id, message.attempts, &cause, next).await
            }
        }
    }

    /// Deletes a message that is out, with more than one try: it would be sent again.
    async fn forget(&self, id: MessageId) -> sqlx::Result<()> {
        let mut tries = 3;
        loop {
            tries -= 1;
            match outbox::delivered(&self.args.pool, id).await {
                Err(error) if tries > 0 => {
                    tracing::warn!(message.id = %id, error = %error, "delivered mail not deleted");
                }
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_double_up_to_a_limit_and_refusals_are_not_pressed() {
        let options = CourierOptions::default();
        let seconds = |attempts, refused| options.backoff(attempts, refused).as_secs();
        let transient: Vec<u64> = (1..=11).map(|attempts| seconds(attempts, false)).collect();
        assert_eq!(transient, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(seconds(i32::MAX, false), 300);
        assert_eq!(seconds(1, true), 60);
        assert_eq!(seconds(100, true), 6 * 3600);
    }
}
