//! Listens to what others change in Postgres and keeps the user cache from being wrong.
//!
//! - Owns: one connection that LISTENs on `keywright_changes` (triggers of our migrations).
//! - Caches: nothing; it removes what changed from the user cache.
//! - Writes through: the heartbeat of this node, once a second.
//! - Leases: the cache may be served while a lease is valid, which is renewed whenever a
//!   notification that it sent to itself arrives. That also proves that everything committed before
//!   has been delivered. When the lease runs out, for whatever reason, the cache is no longer asked
//!   and reads go to Postgres.
//! - On restart: the cache is emptied before the lease is given again.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use super::feed_lease::{FeedState, LEASE};
use super::user_cache::UserCache;
use crate::actors::cluster::Cluster;
use crate::actors::parts::Parts;
use crate::actors::runtime::handle::{CallBound, Crash, Handle, MessageOrigin, Slot};
use crate::actors::runtime::supervisor::ChildSpec;
use crate::actors::runtime::tasks::Tasks;
use crate::config::LiveConfig;
use crate::domain::ids::UserId;
use crate::metrics::ActorStats;
use crate::persistence::changes::{self, CHANNEL};
use crate::persistence::{overrides, pool};

/// Begins the payload that a feed sends to itself.
const BEAT: &str = "beat:";
/// That the table of signing keys has changed.
const SIGNING_KEYS: &str = "signing-keys";
/// Time between two beats, and how long one may take.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Shortest time for notifications after statements that took long.
const LISTEN_MIN: Duration = Duration::from_millis(100);
/// Wait before the next attempt to connect.
const RECONNECT: Duration = Duration::from_millis(250);

/// Messages of the feed.
pub enum ChangeFeedMsg {
    /// The listening task has ended; it never does while all is well.
    ListenerEnded,
    /// Panic.
    Crash,
}

impl MessageOrigin for ChangeFeedMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Crash)
    }
}

impl Crash for ChangeFeedMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for ChangeFeedMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<ChangeFeedMsg>, ChildSpec) {
    let slot: Arc<Slot<ChangeFeedMsg>> = Arc::default();
    let args = ChangeFeedArgs {
        config: Arc::clone(&parts.config),
        users: parts.users.clone(),
        state: Arc::clone(&parts.feed),
        key_changes: Arc::clone(&parts.keys.changes),
        cluster: parts.cluster.clone(),
        stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("change_feed", &slot, || ChangeFeed, move || args.clone());
    (Handle::configured("change feed", slot, &parts.config.load()), child)
}

/// The actor.
pub struct ChangeFeed;

/// What the feed works with.
#[derive(Clone)]
pub struct ChangeFeedArgs {
    pub config: LiveConfig,
    pub users: UserCache,
    pub state: Arc<FeedState>,
    /// Of the key rotator.
    pub key_changes: Arc<Notify>,
    pub cluster: Cluster,
    pub stats: Arc<ActorStats>,
}

/// Ends the listening task together with the actor.
pub struct ChangeFeedState {
    _listening: DropGuard,
}

impl Actor for ChangeFeed {
    type Msg = ChangeFeedMsg;
    type State = ChangeFeedState;
    type Arguments = ChangeFeedArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<ChangeFeedMsg>,
        args: ChangeFeedArgs,
    ) -> Result<ChangeFeedState, ActorProcessingErr> {
        // A predecessor that died may have left a lease behind.
        args.state.end_lease();
        let token = CancellationToken::new();
        let (stop, stats) = (token.clone(), Arc::clone(&args.stats));
        let listening = async move {
            let _lease = LeaseEnds(Arc::clone(&args.state));
            tokio::select! {
                () = stop.cancelled() => {}
                () = listen_for_ever(&args) => {}
            }
        };
        Tasks::of(&myself, &stats).spawn(listening, |_| ChangeFeedMsg::ListenerEnded);
        Ok(ChangeFeedState { _listening: token.drop_guard() })
    }

    async fn handle(
        &self,
        _myself: ActorRef<ChangeFeedMsg>,
        message: ChangeFeedMsg,
        _state: &mut ChangeFeedState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ChangeFeedMsg::ListenerEnded => Err("the listening task ended".into()),
            ChangeFeedMsg::Crash => panic!("the change feed was told to crash"),
        }
    }
}

/// Nobody renews a lease after the listening task, however that ends.
struct LeaseEnds(Arc<FeedState>);

impl Drop for LeaseEnds {
    fn drop(&mut self) {
        self.0.end_lease();
    }
}

async fn listen_for_ever(args: &ChangeFeedArgs) {
    let mut reported = false;
    loop {
        let ended = listen(args, &mut reported).await;
        args.state.end_lease();
        if let Err(error) = ended
            && !std::mem::replace(&mut reported, true)
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "change feed is down, caches are bypassed"
            );
        }
        pause(RECONNECT).await;
    }
}

/// Listens on one connection until it fails, or until it does not deliver what it should.
async fn listen(args: &ChangeFeedArgs, reported: &mut bool) -> sqlx::Result<()> {
    let database = args.config.load().database.clone();
    let mut listener = in_time(Box::pin(pool::listener(&database))).await?;
    in_time(listener.listen(CHANNEL)).await?;
    args.users.forget_all();
    args.key_changes.notify_one();
    let beat = format!("{BEAT}{}", Uuid::new_v4());
    loop {
        let asked_at = Instant::now();
        in_time(changes::notify(&mut listener, &beat)).await?;
        if args.cluster.is_due() {
            in_time(args.cluster.beat(&mut listener)).await?;
            in_time(args.cluster.tidy(&mut listener)).await?;
        }
        let (mut heard, mut was_told, mut is_told_again) = (false, false, false);
        let next_beat = (asked_at + HEARTBEAT).max(Instant::now() + LISTEN_MIN);
        while let Ok(received) = timeout_at(next_beat, listener.try_recv()).await {
            let notification = received?.ok_or(sqlx::Error::PoolClosed)?;
            if notification.payload() == overrides::CHANGED {
                // Once at once; whoever tells it often does not keep this node busy.
                is_told_again |= was_told;
                if !std::mem::replace(&mut was_told, true) {
                    in_time(args.cluster.beat(&mut listener)).await?;
                }
            } else if notification.payload() != beat {
                apply(args, notification.payload());
            } else if !std::mem::replace(&mut heard, true) {
                args.state.renew_lease(asked_at);
                if std::mem::replace(reported, false) {
                    tracing::info!("change feed is up again");
                }
            }
            // What waits already has no time limit.
            if heard && Instant::now() >= next_beat {
                break;
            }
        }
        if is_told_again {
            in_time(args.cluster.beat(&mut listener)).await?;
        }
        if !heard {
            return Err(sqlx::Error::Protocol(
                "notifications are not delivered (a transaction-pooling proxy?)".to_owned(),
            ));
        }
    }
}

/// The result, unless it takes longer than a lease is worth.
async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    timeout(LEASE, work).await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)?
}

fn apply(args: &ChangeFeedArgs, payload: &str) {
    if payload.starts_with(BEAT) {
        // Of another node.
        return;
    }
    if payload == SIGNING_KEYS {
        args.key_changes.notify_one();
        return;
    }
    let users = &args.users;
    let user = payload.strip_prefix("user:").and_then(|id| Uuid::parse_str(id).ok());
    match user {
        Some(id) => users.forget(UserId(id)),
        // `all`, or something that a newer version says: forget everything.
        None => users.forget_all(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a bounded wait before the next connection attempt")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
