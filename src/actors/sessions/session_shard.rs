//! Commits refreshes of its part of the sessions in groups, and sign-ins of new anonymous users.
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
use sqlx::error::DatabaseError;

use super::cached_user::CachedUser;
use super::feed_lease::{FeedState, Seen};
use super::last_seen::LastSeen;
use super::rotator::{self, Rotator, Trade, TradeRules};
use super::users_at_hand::UsersAtHand;
use crate::actors::runtime::batcher::Batcher;
use crate::actors::runtime::handle::{CallBound, Crash, MessageOrigin, Slot};
use crate::actors::runtime::isolate::{Outcome, isolated};
use crate::actors::runtime::tasks::Tasks;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::metrics::ActorStats;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::new_anonymous_users::{self, NewAnonymousUser};
use crate::persistence::time_limit::in_time;
use crate::persistence::users;
use crate::persistence::written_user::WrittenUser;
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// Anonymous users of one statement: triggers of an application may take their time with each.
const SIGN_UPS_AT_ONCE: usize = 32;

/// How long a stopping shard waits for statements under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two tries for a session whose row somebody holds.
const HELD_PAUSE: Duration = Duration::from_millis(25);

/// How long such a session is tried before its callers are told to come again.
const HELD_LIMIT: Duration = Duration::from_millis(100);

/// How long it is remembered that it was held: who comes again meanwhile is tried once.
const HELD_MEMORY: Duration = Duration::from_secs(10);

/// The result of a batched lookup.
pub type LookupResult<T> = Result<Option<T>, Arc<sqlx::Error>>;

/// The batcher that rotates tokens, in its metrics.
pub const ROTATE: &str = "rotate";

/// Messages of a shard.
pub enum SessionShardMsg {
    /// Replace the presented hash by the next one; `None` if it is not current (any more), or if the
    /// session was unknown and its user may not refresh.
    Rotate(Rotation, RpcReplyPort<LookupResult<Rotated>>),
    /// Write an anonymous user with a session.
    SignUp(Arc<NewAnonymousUser>, RpcReplyPort<LookupResult<WrittenUser>>),
    /// Read a user and roles from Postgres.
    Load(UserId, RpcReplyPort<LookupResult<Arc<CachedUser>>>),
    /// A statement of this batcher has ended.
    Finished(BatcherKind),
    /// A statement of `rotate` has ended; for these requests another transaction holds the row.
    Rotated(Vec<HeldRotation>),
    /// Time to try these again.
    RotateAgain(Vec<HeldRotation>),
    /// Write the collected `last_seen` values.
    FlushLastSeen,
    /// Panic.
    Crash,
}

/// A trade that is committed.
#[derive(Clone)]
pub struct Rotated {
    pub session: SessionRef,
    /// The user of a session that was unknown, if they were read along, and what had been seen of
    /// changes before the row was read.
    pub user: Option<(Arc<CachedUser>, Seen)>,
}

/// A request that waits for somebody else's transaction.
pub type HeldRotation = (Rotation, RpcReplyPort<LookupResult<Rotated>>);

impl MessageOrigin for SessionShardMsg {
    fn is_from_caller(&self) -> bool {
        !matches!(
            self,
            Self::Finished(_) | Self::Rotated(_) | Self::RotateAgain(_) | Self::FlushLastSeen
        )
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
    Load,
    SignUp,
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
    pub feed: Arc<FeedState>,
    pub at_hand: Arc<UsersAtHand>,
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
    rotate: Batcher<Rotation, LookupResult<Rotated>>,
    load: Batcher<UserId, LookupResult<Arc<CachedUser>>>,
    sign_up: Batcher<Arc<NewAnonymousUser>, LookupResult<WrittenUser>>,
    rotator: Arc<Rotator>,
    /// Since when somebody holds the rows of these sessions.
    held_since: HashMap<TokenHash, Instant>,
    last_seen: Arc<LastSeen>,
    flushing: bool,
    tasks: Tasks<SessionShardMsg>,
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
            rotator: Arc::new(Rotator::new(args.pool.clone())),
            held_since: HashMap::new(),
            args,
            rotate: Batcher::new(stats.batcher(ROTATE)),
            load: Batcher::new(stats.batcher("load")),
            sign_up: Batcher::new(stats.batcher("sign_up")),
            last_seen: Arc::default(),
            flushing: false,
            tasks: Tasks::of(&myself, &stats),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<SessionShardMsg>,
        message: SessionShardMsg,
        state: &mut SessionShardState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            SessionShardMsg::Rotate(rotation, reply) => {
                state.rotate.push(rotation, reply);
                state.start_rotate();
            }
            SessionShardMsg::Load(user, reply) => {
                state.load.push(user, reply);
                state.start_load();
            }
            SessionShardMsg::SignUp(user, reply) => {
                state.sign_up.push(user, reply);
                state.start_sign_up();
            }
            SessionShardMsg::Finished(BatcherKind::SignUp) => {
                state.sign_up.finished();
                state.start_sign_up();
            }
            SessionShardMsg::Rotated(held) => {
                state.rotate.finished();
                state.wait_for_holders(&myself, held);
                state.start_rotate();
            }
            SessionShardMsg::RotateAgain(held) => {
                for (rotation, reply) in held {
                    state.rotate.push(rotation, reply);
                }
                state.start_rotate();
            }
            SessionShardMsg::Finished(BatcherKind::Load) => {
                state.load.finished();
                state.start_load();
            }
            SessionShardMsg::FlushLastSeen => state.start_flush(),
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
        if !state.tasks.end_within(STOP_TIMEOUT).await {
            tracing::warn!("statements still under way while a session shard stops");
        }
        let limit = state.args.statement_limit();
        state.last_seen.write(&state.args.pool, limit).await;
        if !state.last_seen.is_empty() {
            let users = state.last_seen.len();
            tracing::warn!(users, "last_seen could not be written at shutdown");
        }
        state.rotator.close().await;
        Ok(())
    }
}

impl SessionShardState {
    fn start_rotate(&mut self) {
        let Some(mut batch) = self.rotate.next_batch(self.args.batch_max()) else { return };
        let SessionShardArgs { clock, config, feed, at_hand, .. } = self.args.clone();
        let (rotator, last_seen) = (Arc::clone(&self.rotator), Arc::clone(&self.last_seen));
        let limit = self.args.statement_limit();
        let rotate = async move {
            let rotations: Vec<Rotation> = batch.keys().copied().collect();
            let config = config.load();
            let rules = TradeRules {
                advanced: clock.advanced(),
                lifetime: config.tokens.refresh_token_lifetime,
                verification_required: config.accounts.email_verification_required,
                reads_users: at_hand.are_read_along(),
            };
            drop(config);
            let seen = feed.seen_of_all();
            let rotate = Box::pin(rotator.rotate(&rotations, rules));
            let traded = outcome_in_time(limit, &rotations, rotate).await;
            let done = traded.found.iter().filter_map(|(_, trade)| match trade {
                Trade::Done(session, _) => Some(session.user_id),
                Trade::Held => None,
            });
            last_seen.record(done, clock.now());
            let is_held = |trade: &Trade| matches!(trade, Trade::Held);
            let held = traded.found.iter().filter(|(_, trade)| is_held(trade));
            let mut held: Vec<Rotation> = held.map(|(rotation, _)| *rotation).collect();
            held.sort_unstable();
            let held = batch.take_out(&held);
            batch.respond_from(traded, |trade| {
                let Some(Trade::Done(session, user)) = trade else { return None };
                Some(Rotated { session, user: user.map(|user| (user, seen)) })
            });
            held
        };
        self.tasks.spawn(rotate, |held| SessionShardMsg::Rotated(held.unwrap_or_default()));
    }

    /// Tries sessions again whose row somebody holds, but not for long.
    fn wait_for_holders(&mut self, myself: &ActorRef<SessionShardMsg>, held: Vec<HeldRotation>) {
        if held.is_empty() {
            return;
        }
        let now = Instant::now();
        self.held_since.retain(|_, since| now.duration_since(*since) < HELD_MEMORY);
        let mut again = Vec::new();
        for (rotation, reply) in held {
            let since = *self.held_since.entry(rotation.presented).or_insert(now);
            if now.duration_since(since) < HELD_LIMIT {
                again.push((rotation, reply));
            } else {
                // The caller may have given up.
                let _ = reply.send(Err(rotator::held()));
            }
        }
        if !again.is_empty() {
            // Ends by itself; without the actor its replies are dropped, which their callers notice.
            drop(myself.send_after(HELD_PAUSE, move || SessionShardMsg::RotateAgain(again)));
        }
    }

    fn start_load(&mut self) {
        let Some(batch) = self.load.next_batch(self.args.batch_max()) else { return };
        let pool = self.args.pool.clone();
        let limit = self.args.statement_limit();
        let load = async move {
            let ids: Vec<UserId> = batch.keys().copied().collect();
            let pool = &pool;
            let load = isolated(&ids, |part: Vec<UserId>| async move {
                let users = users::find_by_ids(pool, &part).await?;
                let cached = |user: User| (user.id, Arc::new(CachedUser::new(user)));
                Ok(users.into_iter().map(cached).collect())
            });
            let found = outcome_in_time(limit, &ids, load).await;
            batch.respond_from(found, |user| user);
        };
        self.tasks.spawn(load, |_| SessionShardMsg::Finished(BatcherKind::Load));
    }

    fn start_sign_up(&mut self) {
        let Some(batch) = self.sign_up.next_batch(self.args.batch_max().min(SIGN_UPS_AT_ONCE))
        else {
            return;
        };
        let pool = self.args.pool.clone();
        let limit = self.args.statement_limit();
        let sign_up = async move {
            let users: Vec<Arc<NewAnonymousUser>> = batch.keys().cloned().collect();
            let pool = &pool;
            let insert = isolated(&users, |part: Vec<Arc<NewAnonymousUser>>| async move {
                let rows: Vec<&NewAnonymousUser> = part.iter().map(|user| &**user).collect();
                let written = new_anonymous_users::insert(pool, &rows).await;
                let written = written.map_err(|error| of_one_of(rows.len(), error))?;
                let mut written: HashMap<UserId, WrittenUser> =
                    written.into_iter().map(|written| (written.user.id, written)).collect();
                let with_key = |user: Arc<NewAnonymousUser>| {
                    let written = written.remove(&user.id)?;
                    Some((user, written))
                };
                Ok(part.into_iter().filter_map(with_key).collect())
            });
            let written = outcome_in_time(limit, &users, insert).await;
            batch.respond_from(written, |written| written);
        };
        self.tasks.spawn(sign_up, |_| SessionShardMsg::Finished(BatcherKind::SignUp));
    }

    fn start_flush(&mut self) {
        if self.flushing || self.last_seen.is_empty() {
            return;
        }
        self.flushing = true;
        let pool = self.args.pool.clone();
        let last_seen = Arc::clone(&self.last_seen);
        let limit = self.args.statement_limit();
        let stats = self.args.stats.batcher("last_seen");
        let flush = async move {
            let started = Instant::now();
            stats.left(last_seen.len());
            last_seen.write(&pool, limit).await;
            stats.ended(started.elapsed());
        };
        self.tasks.spawn(flush, |_| SessionShardMsg::Finished(BatcherKind::LastSeen));
    }
}

/// An error of the database for several new users, as one of which another user knows nothing: triggers
/// of an application run for each of them, refuse whom they like with whatever code, and lock rows that
/// others lock too. One user alone gets the error itself.
fn of_one_of(users: usize, error: sqlx::Error) -> sqlx::Error {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let is_postgres_own = code.is_none_or(|code| {
        matches!(code.get(..2), Some("08" | "25" | "53" | "58" | "XX")) || code.starts_with("57P")
    });
    if users == 1 || is_postgres_own { error } else { sqlx::Error::Decode(error.into()) }
}

/// The outcome, unless it takes longer than any caller waits.
async fn outcome_in_time<K: Clone + Sync, T: Send>(
    limit: Duration,
    keys: &[K],
    work: impl Future<Output = Outcome<K, T>> + Send,
) -> Outcome<K, T> {
    in_time(limit, async { Ok(work.await) }).await.unwrap_or_else(|error| {
        let mut outcome = Outcome::default();
        outcome.fail(keys, error);
        outcome
    })
}

/// Tokens that the shards in these slots have rotated since the start.
pub fn rotated(shards: &[Arc<Slot<SessionShardMsg>>]) -> f64 {
    shards.iter().map(|slot| slot.stats().batcher(ROTATE).sizes().sum()).sum()
}

/// The result of a batched lookup as a flow sees it.
pub fn flatten<T>(response: LookupResult<T>) -> Result<Option<T>, AuthError> {
    response.map_err(AuthError::Storage)
}
