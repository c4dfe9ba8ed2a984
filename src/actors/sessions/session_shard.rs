//! Commits refreshes of its part of the sessions in groups.
//!
//! - Owns: the order of statements of its batchers: at most one of each kind is under way.
//! - Caches: nothing; the caches beside it (`session_registry`) survive its restarts.
//! - Writes through: `auth.refresh_tokens` before any reply; `auth.users.last_seen` behind, at most
//!   one interval late, and when it stops.
//! - Gives up a statement that hangs, so that its batcher goes on.
//! - On restart: queued calls fail at once and are sent again by their handle (all are idempotent);
//!   statements under way go on and reply to their callers; pending `last_seen` values are lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use sqlx::PgConnection;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use super::cached_user::CachedUser;
use crate::actors::runtime::batcher::{Batch, Batcher};
use crate::actors::runtime::handle::{CallBound, Crash, MessageOrigin, Slot};
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::metrics::ActorStats;
use crate::persistence::dedicated_connection::{DedicatedConnection, is_lost};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::pool::{Abandonable, in_time};
use crate::persistence::{refresh_tokens, users};
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// How long a stopping shard waits for statements under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a batched lookup.
pub type LookupResult<T> = Result<Option<T>, Arc<sqlx::Error>>;

/// The batcher that rotates tokens, in its metrics.
pub const ROTATE: &str = "rotate";

/// Messages of a shard.
pub enum SessionShardMsg {
    /// Whose token is this, if it is a live one?
    Find(TokenHash, RpcReplyPort<LookupResult<SessionRef>>),
    /// Replace the presented hash by the next one; `None` if it is not current (any more).
    Rotate(Rotation, RpcReplyPort<LookupResult<()>>),
    /// Read a user and roles from Postgres.
    Load(UserId, RpcReplyPort<LookupResult<Arc<CachedUser>>>),
    /// A statement of this batcher has ended.
    Finished(BatcherKind),
    /// Write the collected `last_seen` values.
    FlushLastSeen,
    /// Panic.
    Crash,
}

impl MessageOrigin for SessionShardMsg {
    fn is_from_caller(&self) -> bool {
        !matches!(self, Self::Finished(_) | Self::FlushLastSeen)
    }
}

impl CallBound for SessionShardMsg {
    fn max_in_flight(config: &Config) -> usize {
        config.actors.session_max_in_flight
    }
}

impl Crash for SessionShardMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

/// The batchers of a shard.
#[derive(Clone, Copy, Debug)]
pub enum BatcherKind {
    Find,
    Rotate,
    Load,
    LastSeen,
}

/// The actor.
pub struct SessionShard;

/// What a shard works with.
#[derive(Clone)]
pub struct SessionShardArgs {
    pub pool: MeasuredPool,
    pub clock: Clock,
    pub config: LiveConfig,
    pub stats: Arc<ActorStats>,
}

impl SessionShardArgs {
    /// How long a batcher waits for a statement: no caller waits longer.
    fn statement_limit(&self) -> Duration {
        self.config.load().actors.call_timeout
    }

    fn batch_max(&self) -> usize {
        self.config.load().actors.session_batch_max
    }
}

/// Batchers and the `last_seen` values that wait to be written.
pub struct SessionShardState {
    args: SessionShardArgs,
    find: Batcher<TokenHash, LookupResult<SessionRef>>,
    rotate: Batcher<Rotation, LookupResult<()>>,
    load: Batcher<UserId, LookupResult<Arc<CachedUser>>>,
    /// For the statement of `rotate`.
    dedicated: Arc<DedicatedConnection>,
    last_seen: Arc<LastSeen>,
    flushing: bool,
    tasks: TaskTracker,
}

/// `last_seen` values of committed rotations, collected by the tasks that committed them.
#[derive(Default)]
struct LastSeen(std::sync::Mutex<HashMap<UserId, OffsetDateTime>>);

impl LastSeen {
    fn record(&self, users: impl Iterator<Item = UserId>, at: OffsetDateTime) {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.extend(users.map(|user| (user, at)));
    }

    fn take(&self) -> HashMap<UserId, OffsetDateTime> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Puts back what could not be written, unless something newer waits.
    fn put_back(&self, unwritten: HashMap<UserId, OffsetDateTime>) {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (user, at) in unwritten {
            waiting.entry(user).or_insert(at);
        }
    }
}

impl Actor for SessionShard {
    type Msg = SessionShardMsg;
    type State = SessionShardState;
    type Arguments = SessionShardArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<SessionShardMsg>,
        args: SessionShardArgs,
    ) -> Result<SessionShardState, ActorProcessingErr> {
        let interval = args.config.load().actors.last_seen_interval;
        let stats = Arc::clone(&args.stats);
        myself.send_interval(interval, || SessionShardMsg::FlushLastSeen);
        Ok(SessionShardState {
            dedicated: Arc::new(DedicatedConnection::new(args.pool.clone())),
            args,
            find: Batcher::new(stats.batcher("find")),
            rotate: Batcher::new(stats.batcher(ROTATE)),
            load: Batcher::new(stats.batcher("load")),
            last_seen: Arc::default(),
            flushing: false,
            tasks: TaskTracker::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionShardMsg>,
        message: SessionShardMsg,
        state: &mut SessionShardState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionShardMsg::Find(hash, reply) => {
                state.find.push(hash, reply);
                state.start_find(&myself);
            }
            SessionShardMsg::Rotate(rotation, reply) => {
                state.rotate.push(rotation, reply);
                state.start_rotate(&myself);
            }
            SessionShardMsg::Load(user, reply) => {
                state.load.push(user, reply);
                state.start_load(&myself);
            }
            SessionShardMsg::Finished(BatcherKind::Find) => {
                state.find.finished();
                state.start_find(&myself);
            }
            SessionShardMsg::Finished(BatcherKind::Rotate) => {
                state.rotate.finished();
                state.start_rotate(&myself);
            }
            SessionShardMsg::Finished(BatcherKind::Load) => {
                state.load.finished();
                state.start_load(&myself);
            }
            SessionShardMsg::FlushLastSeen => state.start_flush(&myself),
            SessionShardMsg::Finished(BatcherKind::LastSeen) => state.flushing = false,
            SessionShardMsg::Crash => panic!("a session shard was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<SessionShardMsg>,
        state: &mut SessionShardState,
    ) -> Result<(), ActorProcessingErr> {
        state.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, state.tasks.wait()).await.is_err() {
            tracing::warn!("statements still under way while a session shard stops");
        }
        let limit = state.args.statement_limit();
        let unwritten = write_last_seen(&state.args.pool, limit, state.last_seen.take()).await;
        if !unwritten.is_empty() {
            tracing::warn!(users = unwritten.len(), "last_seen could not be written at shutdown");
        }
        state.dedicated.close().await;
        Ok(())
    }
}

impl SessionShardState {
    fn start_find(&mut self, myself: &ActorRef<SessionShardMsg>) {
        let Some(batch) = self.find.next_batch(self.args.batch_max()) else { return };
        let SessionShardArgs { pool, clock, .. } = self.args.clone();
        let limit = self.args.statement_limit();
        let done = Done { shard: myself.clone(), batcher: BatcherKind::Find };
        self.tasks.spawn(async move {
            let _done = done;
            let hashes: Vec<TokenHash> = batch.keys().copied().collect();
            let found = in_time(limit, async {
                let mut db = Abandonable::acquire(&pool).await?;
                let found = refresh_tokens::find_live(db.begin(), &hashes, clock.advanced()).await;
                db.give_back();
                found
            })
            .await;
            reply_all(batch, found);
        });
    }

    fn start_rotate(&mut self, myself: &ActorRef<SessionShardMsg>) {
        let Some(batch) = self.rotate.next_batch(self.args.batch_max()) else { return };
        let SessionShardArgs { clock, config, .. } = self.args.clone();
        let dedicated = Arc::clone(&self.dedicated);
        let limit = self.args.statement_limit();
        let done = Done { shard: myself.clone(), batcher: BatcherKind::Rotate };
        let last_seen = Arc::clone(&self.last_seen);
        self.tasks.spawn(async move {
            let _done = done;
            // In one order on all nodes, so that two batches that share rows do not deadlock.
            let rotations: Vec<Rotation> = batch.keys().copied().collect();
            let lifetime = config.load().tokens.refresh_token_lifetime;
            let rotated = rotate_dedicated(&dedicated, &rotations, clock.advanced(), lifetime);
            let rotated = in_time(limit, Box::pin(rotated)).await;
            if let Ok(rows) = &rotated {
                let users = rows.iter().map(|(rotation, ())| rotation.session.user_id);
                last_seen.record(users, clock.now());
            }
            reply_all(batch, rotated);
        });
    }

    fn start_load(&mut self, myself: &ActorRef<SessionShardMsg>) {
        let Some(batch) = self.load.next_batch(self.args.batch_max()) else { return };
        let pool = self.args.pool.clone();
        let limit = self.args.statement_limit();
        let done = Done { shard: myself.clone(), batcher: BatcherKind::Load };
        self.tasks.spawn(async move {
            let _done = done;
            let ids: Vec<UserId> = batch.keys().copied().collect();
            let found = in_time(limit, async {
                let mut db = Abandonable::acquire(&pool).await?;
                let found = users::find_by_ids(db.begin(), &ids).await;
                db.give_back();
                found
            })
            .await;
            reply_all(
                batch,
                found.map(|rows| {
                    let cached = |user: User| (user.id, Arc::new(CachedUser::new(user)));
                    rows.into_iter().map(cached).collect()
                }),
            );
        });
    }

    fn start_flush(&mut self, myself: &ActorRef<SessionShardMsg>) {
        if self.flushing {
            return;
        }
        let waiting = self.last_seen.take();
        if waiting.is_empty() {
            return;
        }
        self.flushing = true;
        let pool = self.args.pool.clone();
        let last_seen = Arc::clone(&self.last_seen);
        let limit = self.args.statement_limit();
        let done = Done { shard: myself.clone(), batcher: BatcherKind::LastSeen };
        let stats = self.args.stats.batcher("last_seen");
        self.tasks.spawn(async move {
            let _done = done;
            let started = Instant::now();
            stats.left(waiting.len());
            last_seen.put_back(write_last_seen(&pool, limit, waiting).await);
            stats.ended(started.elapsed());
        });
    }
}

/// Rotates on the dedicated connection; a second time on a new one if that had died meanwhile.
///
/// What the first time committed is then not current any more, which the callers take for a
/// repeated request.
async fn rotate_dedicated(
    dedicated: &DedicatedConnection,
    rotations: &[Rotation],
    advanced: time::Duration,
    lifetime: Duration,
) -> sqlx::Result<Vec<(Rotation, ())>> {
    let mut db = dedicated.take().await?;
    let mut rotated = rotate_all(&mut db.connection, rotations, advanced, lifetime).await;
    if db.was_idle && rotated.as_ref().is_err_and(is_lost) {
        db = dedicated.open().await?;
        rotated = rotate_all(&mut db.connection, rotations, advanced, lifetime).await;
    }
    if rotated.is_ok() {
        dedicated.keep(db);
    }
    rotated
}

/// Rotates all in one statement; after a deadlock with somebody else's statement, one by one.
async fn rotate_all(
    db: &mut PgConnection,
    rotations: &[Rotation],
    advanced: time::Duration,
    lifetime: Duration,
) -> sqlx::Result<Vec<(Rotation, ())>> {
    let at = |places: Vec<usize>| places.into_iter().map(|at| (rotations[at], ())).collect();
    match refresh_tokens::rotate(&mut *db, rotations, advanced, lifetime).await {
        Err(error) if refresh_tokens::is_deadlock(&error) => {
            tracing::warn!(rows = rotations.len(), "deadlock while rotating, going one by one");
            let mut rotated = Vec::with_capacity(rotations.len());
            for rotation in rotations {
                let alone = std::slice::from_ref(rotation);
                let places = refresh_tokens::rotate(&mut *db, alone, advanced, lifetime).await?;
                rotated.extend(places.into_iter().map(|_| (*rotation, ())));
            }
            Ok(rotated)
        }
        result => result.map(at),
    }
}

/// Writes `last_seen`; returns what could not be written.
async fn write_last_seen(
    pool: &MeasuredPool,
    limit: Duration,
    waiting: HashMap<UserId, OffsetDateTime>,
) -> HashMap<UserId, OffsetDateTime> {
    if waiting.is_empty() {
        return waiting;
    }
    let written = in_time(limit, async {
        let mut db = Abandonable::acquire(pool).await?;
        let seen = waiting.iter().map(|(user, at)| (*user, *at));
        let written = users::set_last_seen(db.begin(), seen).await;
        db.give_back();
        written
    });
    match written.await {
        Ok(()) => HashMap::new(),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                users = waiting.len(),
                "last_seen not written, will be tried again"
            );
            waiting
        }
    }
}

/// Replies to every caller of a batch from the rows found.
fn reply_all<K: Ord, T: Clone>(batch: Batch<K, LookupResult<T>>, found: sqlx::Result<Vec<(K, T)>>) {
    let found = found.map_err(Arc::new).map(|mut rows| {
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        rows
    });
    let mut at = 0;
    batch.respond(|key| {
        let rows = found.as_ref().map_err(Arc::clone)?;
        // Both are in the order of the keys.
        while rows.get(at).is_some_and(|(found, _)| found < key) {
            at += 1;
        }
        Ok(rows.get(at).filter(|(found, _)| found == key).map(|(_, value)| value.clone()))
    });
}

/// Tells the shard that a statement has ended, also when its task panics.
struct Done {
    shard: ActorRef<SessionShardMsg>,
    batcher: BatcherKind,
}

impl Drop for Done {
    fn drop(&mut self) {
        // A restarted shard has batchers of its own.
        let _ = self.shard.send_message(SessionShardMsg::Finished(self.batcher));
    }
}

/// Tokens that the shards in these slots have rotated since the start.
pub fn rotated(shards: &[Arc<Slot<SessionShardMsg>>]) -> f64 {
    shards.iter().map(|slot| slot.stats().batcher(ROTATE).sizes().sum()).sum()
}

/// The result of a batched lookup as a flow sees it.
pub fn flatten<T>(response: LookupResult<T>) -> Result<Option<T>, AuthError> {
    response.map_err(AuthError::Storage)
}
