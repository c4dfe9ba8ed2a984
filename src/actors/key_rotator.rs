//! Puts signing keys in force: those of the configuration, and those of the database, which it rotates.
//!
//! - Owns: the moment at which a configuration comes into force with its keys and its mail server, and
//!   the steps of stored keys that are due by themselves. Each step is one conditional statement, so
//!   that of all nodes that try one does it.
//! - Caches: the parsed keys, readable without a lock and without this actor.
//! - Writes through: next keys, rotations, and the end of private keys, in tasks.
//! - On restart: what was in force stays in force; the stored keys are read again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::parts::Parts;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use super::runtime::supervisor::ChildSpec;
use super::runtime::tasks::Tasks;
use super::sessions::feed_lease::FeedState;
use super::signing_keys::{self, Addition, Loaded, SigningKeys};
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::signing_key::DueStep;
use crate::metrics::ActorStats;
use crate::notify::sender::MailSender;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::signing_keys as table;
use crate::persistence::time_limit::in_time;
use crate::tokens::key_ring::{ConfiguredKey, accepted_for};

/// How often it is looked, in memory, whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// How often the table is read while the change feed is down, or after a failure.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// How long a stopping node waits for a statement under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A configuration that was checked, and what was made of it meanwhile: this very thing comes into
/// force, not what is read a second time.
#[derive(Clone)]
pub struct Checked {
    pub config: Arc<Config>,
    pub key: ConfiguredKey,
    pub mail: Arc<MailSender>,
}

/// Messages of the key rotator.
pub enum KeyRotatorMsg {
    /// Puts all of this in force.
    PutInForce(Checked, RpcReplyPort<()>),
    /// The stored keys have changed, or may have.
    Changed,
    /// They were read; without a result if that panicked.
    Read(Option<sqlx::Result<Loaded>>),
    /// Time to look whether something is due.
    Tick,
    /// A step has ended, however.
    Stepped,
    /// Panic.
    Crash,
}

impl MessageOrigin for KeyRotatorMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::PutInForce(..) | Self::Crash)
    }
}

impl Crash for KeyRotatorMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for KeyRotatorMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<KeyRotatorMsg>, ChildSpec) {
    let slot: Arc<Slot<KeyRotatorMsg>> = Arc::default();
    let args = KeyRotatorArgs {
        config: Arc::clone(&parts.config),
        clock: parts.clock.clone(),
        pool: parts.pool.clone(),
        feed: Arc::clone(&parts.feed),
        keys: parts.keys.clone(),
        mail: Arc::clone(&parts.mail),
        stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("key_rotator", &slot, || KeyRotator, move || args.clone());
    (Handle::configured("key rotator", slot, &parts.config.load()), child)
}

/// The actor.
pub struct KeyRotator;

/// What the key rotator works with.
#[derive(Clone)]
pub struct KeyRotatorArgs {
    pub config: LiveConfig,
    pub clock: Clock,
    pub pool: MeasuredPool,
    pub feed: Arc<FeedState>,
    pub keys: SigningKeys,
    pub mail: Arc<ArcSwap<MailSender>>,
    pub stats: Arc<ActorStats>,
}

/// What is under way; the keys themselves outlive it.
pub struct KeyRotatorState {
    args: KeyRotatorArgs,
    /// When the last read has begun.
    read_at: Instant,
    is_reading: bool,
    /// They changed while they were read, or could not be read.
    is_stale: bool,
    is_stepping: bool,
    /// What was tried last; the same is not tried again at once.
    last_step: Option<(DueStep, Instant)>,
    /// What the log has said last about what is wrong.
    reported: Option<String>,
    tasks: Tasks<KeyRotatorMsg>,
    stop: CancellationToken,
    /// Ends the wait of an incarnation that is gone.
    _stop_with_this: DropGuard,
}

impl Actor for KeyRotator {
    type Msg = KeyRotatorMsg;
    type State = KeyRotatorState;
    type Arguments = KeyRotatorArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<KeyRotatorMsg>,
        args: KeyRotatorArgs,
    ) -> Result<KeyRotatorState, ActorProcessingErr> {
        // The first thing that the change feed says, once it listens, is that keys may have changed.
        // A predecessor may have died after it was told.
        if args.feed.is_live() {
            args.keys.changes.notify_one();
        }
        myself.send_interval(TICK, || KeyRotatorMsg::Tick);
        let stop = CancellationToken::new();
        let state = KeyRotatorState {
            tasks: Tasks::of(&myself, &args.stats),
            args,
            read_at: Instant::now(),
            is_reading: false,
            is_stale: false,
            is_stepping: false,
            last_step: None,
            reported: None,
            _stop_with_this: stop.clone().drop_guard(),
            stop,
        };
        state.wait_for_change();
        Ok(state)
    }

    async fn handle(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        message: KeyRotatorMsg,
        state: &mut KeyRotatorState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            KeyRotatorMsg::PutInForce(checked, reply) => {
                state.args.put_in_force(checked);
                // The caller may have given up.
                let _ = reply.send(());
            }
            KeyRotatorMsg::Changed => {
                state.wait_for_change();
                state.read();
            }
            KeyRotatorMsg::Read(result) => state.take_over(result),
            KeyRotatorMsg::Tick => state.look(),
            KeyRotatorMsg::Stepped => {
                state.is_stepping = false;
                state.read();
            }
            KeyRotatorMsg::Crash => panic!("the key rotator was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<KeyRotatorMsg>,
        state: &mut KeyRotatorState,
    ) -> Result<(), ActorProcessingErr> {
        state.stop.cancel();
        if !state.tasks.end_within(STOP_TIMEOUT).await {
            tracing::warn!("a statement about signing keys is still under way");
        }
        Ok(())
    }
}

impl KeyRotatorArgs {
    /// Nothing here can fail, so that it is all or nothing.
    fn put_in_force(&self, checked: Checked) {
        let lifetime = self.config.load().tokens.access_token_lifetime;
        self.keys.replace_configured(checked.key, lifetime, self.clock.now());
        self.mail.store(checked.mail);
        self.config.store(checked.config);
    }
}

impl KeyRotatorState {
    fn wait_for_change(&self) {
        let (stop, changes) = (self.stop.clone(), Arc::clone(&self.args.keys.changes));
        let change = async move {
            // A node that stops hears of nothing.
            stop.run_until_cancelled(changes.notified()).await
        };
        self.tasks.spawn(change, |_| KeyRotatorMsg::Changed);
    }

    fn read(&mut self) {
        if self.stop.is_cancelled() {
            return;
        }
        if std::mem::replace(&mut self.is_reading, true) {
            self.is_stale = true;
            return;
        }
        self.is_stale = false;
        self.read_at = Instant::now();
        let args = self.args.clone();
        let read = async move {
            in_time(args.limit(), signing_keys::load(&args.pool, &args.keys.sealer)).await
        };
        self.tasks.spawn(read, KeyRotatorMsg::Read);
    }

    fn take_over(&mut self, result: Option<sqlx::Result<Loaded>>) {
        self.is_reading = false;
        match result {
            Some(Ok(loaded)) => {
                let wrong = loaded.unusable().map(ToString::to_string);
                self.args.keys.take_over(loaded);
                self.report(wrong);
                if std::mem::take(&mut self.is_stale) {
                    self.read();
                }
            }
            failed => {
                self.is_stale = true;
                let why = match failed {
                    Some(Err(error)) => error.to_string(),
                    _ => "a panic".to_owned(),
                };
                self.report(Some(format!("stored signing keys could not be read: {why}")));
            }
        }
    }

    /// Says once what is wrong, and that it is no more.
    fn report(&mut self, wrong: Option<String>) {
        match &wrong {
            Some(reason) => {
                self.args.keys.stats.failed.increment();
                if self.reported != wrong {
                    tracing::error!(reason, "signing keys may be out of date");
                }
            }
            None if self.reported.is_some() => tracing::info!("signing keys are up to date again"),
            None => {}
        }
        self.reported = wrong;
    }

    /// No statement while there is nothing to do.
    fn look(&mut self) {
        let is_late = self.read_at.elapsed() >= READ_AGAIN;
        if is_late && (self.is_stale || !self.args.feed.is_live()) {
            self.read();
        }
        if self.is_stepping || self.is_reading {
            return;
        }
        let due = self.args.keys.due(&self.args.config.load(), self.args.clock.now());
        let is_repeated = |step: &DueStep| {
            let same = self.last_step.as_ref().filter(|(last, _)| last == step);
            same.is_some_and(|(_, at)| at.elapsed() < READ_AGAIN)
        };
        if let Some(step) = due.filter(|step| !is_repeated(step)) {
            self.is_stepping = true;
            self.last_step = Some((step.clone(), Instant::now()));
            let args = self.args.clone();
            self.tasks.spawn(take(args, step), |_| KeyRotatorMsg::Stepped);
        }
    }
}

impl KeyRotatorArgs {
    fn limit(&self) -> Duration {
        let config = self.config.load();
        config.actors.call_timeout.max(config.database.statement_timeout + Duration::from_secs(1))
    }
}

/// Does what is due, unless another node was first.
async fn take(with: KeyRotatorArgs, step: DueStep) {
    let limit = with.limit();
    if let Err(error) = in_time(limit, try_to(&with, step)).await {
        with.keys.stats.failed.increment();
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a step of the signing keys failed, will try again"
        );
    }
}

async fn try_to(with: &KeyRotatorArgs, step: DueStep) -> sqlx::Result<()> {
    let (config, advanced) = (with.config.load_full(), with.clock.advanced());
    match step {
        DueStep::Add { algorithm } => {
            let publish_ahead = config.tokens.key_publish_ahead;
            let addition = Addition { algorithm, publish_ahead, signs_by_itself: false, advanced };
            let added = signing_keys::add_next(&with.pool, &with.keys.sealer, &addition).await?;
            if let Some(added) = added {
                with.keys.stats.added.increment();
                tracing::info!(kid = added.kid, ready_at = %added.ready_at, "signing key added");
            }
        }
        DueStep::Rotate(rotation) => {
            let accepted_for = accepted_for(config.tokens.access_token_lifetime);
            if table::rotate(&with.pool, &rotation, accepted_for, false, advanced).await? {
                with.keys.stats.rotated.increment();
                tracing::info!(
                    kid = rotation.next,
                    before = rotation.current,
                    "signing key rotated"
                );
            }
        }
        DueStep::Erase { kid } => {
            if table::erase(&with.pool, &kid, advanced).await? {
                tracing::info!(kid, "private half of a retired signing key erased");
            }
        }
    }
    Ok(())
}
