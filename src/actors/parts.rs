//! What actors are made of: each actor's `start` takes what it needs.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::cluster::Cluster;
use super::limits::counter_key::CounterKey;
use super::limits::counters::Counters;
use super::runtime::handle::Slot;
use super::runtime::supervisor::{LivePolicy, TreeView};
use super::sessions::claims_cache::ClaimsCache;
use super::sessions::feed_lease::FeedState;
use super::sessions::session_shard::SessionShardMsg;
use super::sessions::user_cache::UserCache;
use super::signing_keys::SigningKeys;
use crate::clients::HttpClients;
use crate::config::LiveConfig;
use crate::domain::clock::Clock;
use crate::metrics::MailStats;
use crate::notify::sender::MailSender;
use crate::passwords::PasswordSettings;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::Origin;

/// Everything that outlives the incarnations of actors.
pub struct Parts {
    pub config: LiveConfig,
    pub clock: Clock,
    pub pool: MeasuredPool,
    /// Who made the schema.
    pub origin: Origin,
    pub keys: SigningKeys,
    pub mail: Arc<ArcSwap<MailSender>>,
    pub mail_stats: Arc<MailStats>,
    pub passwords: PasswordSettings,
    pub cluster: Cluster,
    pub users: UserCache,
    pub claims: ClaimsCache,
    /// For external services.
    pub clients: HttpClients,
    pub feed: Arc<FeedState>,
    pub shards: Arc<[Arc<Slot<SessionShardMsg>>]>,
    pub counters: Counters,
    /// Of every supervisor.
    pub policy: LivePolicy,
    pub tree: TreeView,
}

/// What all nodes on one database have in common.
pub struct InCommon {
    pub passwords: PasswordSettings,
    /// For the names of counters.
    pub counter_key: CounterKey,
    /// Who else is there.
    pub cluster: Cluster,
}

impl Parts {
    /// Empty caches and counters around what the node has already. Fails only if no HTTP client can be
    /// made.
    pub fn new(
        config: LiveConfig,
        clock: Clock,
        pool: MeasuredPool,
        origin: Origin,
        keys: SigningKeys,
        mail: Arc<ArcSwap<MailSender>>,
        in_common: InCommon,
    ) -> reqwest::Result<Self> {
        let settings = config.load().actors.clone();
        let feed = Arc::<FeedState>::default();
        Ok(Self {
            users: UserCache::new(settings.user_cache_mib, Arc::clone(&feed)),
            feed,
            claims: ClaimsCache::default(),
            clients: HttpClients::new()?,
            shards: (0..settings.session_shards).map(|_| Arc::default()).collect(),
            counters: Counters::new(&clock, in_common.counter_key),
            policy: LivePolicy::from(settings.restart_policy()),
            tree: TreeView::default(),
            mail_stats: Arc::default(),
            config,
            clock,
            pool,
            origin,
            keys,
            mail,
            passwords: in_common.passwords,
            cluster: in_common.cluster,
        })
    }
}
