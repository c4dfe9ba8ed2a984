//! Flows of several requests: which are pending (passkey sign-ups, provider sign-ins, codes to be
//! exchanged), and which signed challenges were used (all other passkey ceremonies).
//!
//! - Owns: the order of inserts (one statement for all that wait) and the bounds on their number.
//! - Caches: what this node knows of its ceremonies for good, so that a replay costs no query: a
//!   challenge's purpose and user never change, and one that is used up stays so.
//! - Writes through: `auth.keywright_challenges` before any reply. Taking one, and noting in
//!   `auth.keywright_used_challenges` that one was used, is a single conditional statement of the
//!   caller, which needs no order and therefore no mailbox.
//! - On restart: queued calls are sent again by their handle (inserts may meet themselves); the cache
//!   stays.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use time::OffsetDateTime;
use uuid::Uuid;

use super::parts::Parts;
use super::runtime::batcher::Batcher;
use super::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use super::runtime::isolate::isolated;
use super::runtime::supervisor::ChildSpec;
use super::runtime::tasks::Tasks;
use crate::config::{Config, LiveConfig};
use crate::domain::challenge::{Challenge, Family, Purpose};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::metrics::{ActorStats, CacheStats};
use crate::persistence::challenges::{self, NewChallenge, TakenChallenge};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;
use crate::persistence::used_challenges;

/// Stored flows of one user and purpose that may be pending; the oldest go. Only the user can begin
/// these.
const MAX_OF_USER: i64 = 64;

/// Between two looks at what is too much; what has expired is removed by the housekeeping.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Ceremonies that this node remembers; one that is forgotten costs a query.
const REMEMBERED: u64 = 50_000;

/// How long a ceremony is remembered; longer than the usual time limit.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// How long a stopping store waits for a statement under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known for good of a ceremony.
#[derive(Clone, Copy)]
enum Known {
    Pending { purpose: Purpose, user_id: Option<UserId> },
    Used,
}

/// Where ceremonies begin and are used up; cheap to clone.
#[derive(Clone)]
pub struct ChallengeStore {
    actor: Handle<ChallengeStoreMsg>,
    known: Cache<Challenge, Known>,
    known_stats: Arc<CacheStats>,
    pool: MeasuredPool,
    clock: Clock,
}

/// The store, and the child that the tree starts.
pub fn start(parts: &Parts) -> (ChallengeStore, ChildSpec) {
    let slot: Arc<Slot<ChallengeStoreMsg>> = Arc::default();
    let args = ChallengeStoreArgs {
        pool: parts.pool.clone(),
        config: Arc::clone(&parts.config),
        stats: Arc::clone(slot.stats()),
    };
    let child =
        ChildSpec::actor("challenge_store", &slot, || ChallengeStoreActor, move || args.clone());
    let store = ChallengeStore {
        actor: Handle::configured("challenge store", slot, &parts.config.load()),
        known: Cache::builder().max_capacity(REMEMBERED).time_to_live(REMEMBERED_FOR).build(),
        known_stats: Arc::default(),
        pool: parts.pool.clone(),
        clock: parts.clock.clone(),
    };
    (store, child)
}

impl ChallengeStore {
    /// Takes over bound and deadline of the configuration.
    pub fn tune(&self, config: &Config) {
        self.actor.tune(config);
    }

    /// Stores a ceremony; once this returns, every node can finish it.
    pub async fn put(&self, new: NewChallenge) -> Result<(), AuthError> {
        let known = Known::Pending { purpose: new.purpose, user_id: new.user_id };
        let (challenge, new) = (new.challenge, Arc::new(new));
        self.actor
            .call(|reply| ChallengeStoreMsg::Put(Arc::clone(&new), reply))
            .await?
            .map_err(AuthError::Storage)?;
        self.known.insert(challenge, known);
        Ok(())
    }

    /// Uses a ceremony up, whatever comes of it: committed before this returns, so that no reply of
    /// an authenticator can be presented twice. `None` unless purpose and user fit.
    pub async fn take(
        &self,
        challenge: Challenge,
        purpose: Purpose,
        user_id: Option<UserId>,
    ) -> Result<Option<TakenChallenge>, AuthError> {
        match self.known_stats.note(self.known.get(&challenge)) {
            Some(Known::Used) => return Ok(None),
            Some(Known::Pending { purpose: of, user_id: whose })
                if of != purpose || (user_id.is_some() && whose != user_id) =>
            {
                return Ok(None);
            }
            _ => {}
        }
        let now = self.clock.now();
        let taken = challenges::take(&self.pool, challenge, purpose, user_id, now).await?;
        if taken.is_some() {
            self.known.insert(challenge, Known::Used);
        }
        Ok(taken)
    }

    /// Uses up a signed challenge, whatever comes of it, as [`take`](Self::take) does with a stored
    /// one; `false` if it was used before, or if the user's credentials have changed since.
    pub async fn use_up(
        &self,
        challenge: Challenge,
        expires_at: OffsetDateTime,
        user_id: UserId,
        unchanged_since: OffsetDateTime,
    ) -> Result<bool, AuthError> {
        if matches!(self.known_stats.note(self.known.get(&challenge)), Some(Known::Used)) {
            return Ok(false);
        }
        let is_first =
            used_challenges::insert(&self.pool, challenge, expires_at, user_id, unchanged_since)
                .await?;
        self.known.insert(challenge, Known::Used);
        Ok(is_first)
    }

    /// The metrics of what this node remembers, and how much that is (about).
    pub fn cache(&self) -> (&CacheStats, u64) {
        (&self.known_stats, self.known.entry_count())
    }

    /// The actor (fault tests, and inspection).
    pub fn actor(&self) -> &Handle<ChallengeStoreMsg> {
        &self.actor
    }
}

/// How many flows of each family there are.
type Counts = HashMap<Family, i64>;

/// The result of an insert.
type Stored = Result<(), Arc<sqlx::Error>>;

/// Messages of the store.
pub enum ChallengeStoreMsg {
    /// Store this ceremony.
    Put(Arc<NewChallenge>, RpcReplyPort<Stored>),
    /// An insert has ended; so many more of each family are stored.
    Finished(Counts),
    /// Time to look at what is too much.
    Sweep,
    /// A sweep has ended; so many of each family are stored, if it could be found out.
    Swept(Option<Counts>),
    /// Panic.
    Crash,
}

impl MessageOrigin for ChallengeStoreMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Put(..) | Self::Crash)
    }
}

impl CallBound for ChallengeStoreMsg {
    fn max_in_flight(config: &Config) -> usize {
        config.actors.challenge_max_in_flight
    }
}

impl Crash for ChallengeStoreMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

/// The actor.
pub struct ChallengeStoreActor;

/// What the actor works with.
#[derive(Clone)]
pub struct ChallengeStoreArgs {
    pub pool: MeasuredPool,
    pub config: LiveConfig,
    pub stats: Arc<ActorStats>,
}

/// Inserts that wait, and an idea of how many ceremonies are stored.
pub struct ChallengeStoreState {
    args: ChallengeStoreArgs,
    batcher: Batcher<Arc<NewChallenge>, Stored>,
    stored: Counts,
    sweeping: bool,
    tasks: Tasks<ChallengeStoreMsg>,
}

impl Actor for ChallengeStoreActor {
    type Msg = ChallengeStoreMsg;
    type State = ChallengeStoreState;
    type Arguments = ChallengeStoreArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ChallengeStoreMsg>,
        args: ChallengeStoreArgs,
    ) -> Result<ChallengeStoreState, ActorProcessingErr> {
        myself.send_interval(SWEEP_INTERVAL, || ChallengeStoreMsg::Sweep);
        let batcher = Batcher::new(args.stats.batcher("put"));
        Ok(ChallengeStoreState {
            tasks: Tasks::of(&myself, &args.stats),
            args,
            batcher,
            stored: Counts::new(),
            sweeping: false,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<ChallengeStoreMsg>,
        message: ChallengeStoreMsg,
        state: &mut ChallengeStoreState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ChallengeStoreMsg::Put(new, reply) => {
                state.batcher.push(new, reply);
                state.start_insert();
            }
            ChallengeStoreMsg::Finished(inserted) => {
                state.batcher.finished();
                let config = state.args.config.load_full();
                let mut is_full = false;
                for (family, inserted) in inserted {
                    let stored = state.stored.entry(family).or_default();
                    *stored += inserted;
                    is_full |= *stored > max(&config, family);
                }
                if is_full {
                    state.start_sweep();
                }
                state.start_insert();
            }
            ChallengeStoreMsg::Sweep => state.start_sweep(),
            ChallengeStoreMsg::Swept(stored) => {
                state.sweeping = false;
                if let Some(stored) = stored {
                    state.stored = stored;
                }
            }
            ChallengeStoreMsg::Crash => panic!("the challenge store was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<ChallengeStoreMsg>,
        state: &mut ChallengeStoreState,
    ) -> Result<(), ActorProcessingErr> {
        if !state.tasks.end_within(STOP_TIMEOUT).await {
            tracing::warn!("a statement is still under way while the challenge store stops");
        }
        Ok(())
    }
}

impl ChallengeStoreState {
    fn start_insert(&mut self) {
        let batch_max = self.args.config.load().actors.challenge_batch_max;
        let Some(batch) = self.batcher.next_batch(batch_max) else { return };
        let ChallengeStoreArgs { pool, config, .. } = self.args.clone();
        let limit = config.load().actors.call_timeout;
        let insert = async move {
            let new: Vec<Arc<NewChallenge>> = batch.keys().cloned().collect();
            let inserted = isolated(&new, |part: Vec<Arc<NewChallenge>>| async {
                let part = part;
                in_time(limit, insert(&pool, &part)).await?;
                Ok(part.into_iter().map(|new| (new, ())).collect())
            })
            .await;
            let mut counts = Counts::new();
            for (new, ()) in &inserted.found {
                *counts.entry(new.purpose.family()).or_default() += 1;
            }
            // Whoever waits no longer lets the row expire.
            batch.respond_from(inserted, |_| ());
            counts
        };
        let finished =
            |counts: Option<Counts>| ChallengeStoreMsg::Finished(counts.unwrap_or_default());
        self.tasks.spawn(insert, finished);
    }

    fn start_sweep(&mut self) {
        if self.sweeping {
            return;
        }
        self.sweeping = true;
        let ChallengeStoreArgs { pool, config, .. } = self.args.clone();
        let limit = config.load().actors.call_timeout;
        let sweep = async move {
            let swept = in_time(limit, async { sweep(&pool, &config.load_full()).await }).await;
            if let Err(error) = &swept {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "pending flows not counted, will be tried again"
                );
            }
            swept.ok()
        };
        self.tasks.spawn(sweep, |counts| ChallengeStoreMsg::Swept(counts.flatten()));
    }
}

fn max(config: &Config, family: Family) -> i64 {
    match family {
        Family::Passkeys => config.webauthn.max_challenges,
        Family::Providers => config.providers.max_states,
    }
}

async fn sweep(pool: &MeasuredPool, config: &Config) -> sqlx::Result<Counts> {
    let mut db = pool.acquire().await?;
    let mut stored = Counts::new();
    for family in Family::ALL {
        let max = max(config, family);
        let (left, evicted) = challenges::keep_newest(&mut db, family, max).await?;
        if evicted > 0 {
            tracing::warn!(
                evicted,
                max,
                ?family,
                "too many pending flows, the oldest of those with the most went"
            );
        }
        stored.insert(family, left);
    }
    Ok(stored)
}

async fn insert(pool: &MeasuredPool, new: &[Arc<NewChallenge>]) -> sqlx::Result<()> {
    let users: HashSet<Uuid> = new.iter().filter_map(|new| new.user_id.map(|id| id.0)).collect();
    let mut db = pool.acquire().await?;
    challenges::insert(&mut *db, new).await?;
    if !users.is_empty() {
        let users: Vec<Uuid> = users.into_iter().collect();
        challenges::keep_newest_of_users(&mut *db, &users, MAX_OF_USER).await?;
    }
    Ok(())
}
