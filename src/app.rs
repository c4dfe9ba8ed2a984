//! What every operation works with.

use std::sync::Arc;
use std::thread::available_parallelism;

use arc_swap::{ArcSwap, Guard};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::actors::cluster::Cluster;
use crate::actors::limits::counters::Counters;
use crate::actors::parts::Parts;
use crate::actors::runtime::supervisor::{LivePolicy, TreeView};
use crate::actors::sessions::claims_cache::ClaimsCache;
use crate::actors::sessions::repeat_watch::RepeatWatch;
use crate::actors::signing_keys::{Keys, SigningKeys};
use crate::actors::tree::Actors;
use crate::clients::HttpClients;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::user::UserRules;
use crate::drain::Drain;
use crate::hasura::background::MetadataState;
use crate::metrics::{MailStats, SecurityEvents, SmsStats};
use crate::notify::sender::MailSender;
use crate::oauth::Issuers;
use crate::persistence::health::SharedPing;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::Origin;
use crate::sealing::SecretStorage;
use crate::threads::Threads;
use crate::tokens::chain::RotationKey;

/// Handles to actors, and the pool for what needs no actor. One per server.
pub struct App {
    pub config: LiveConfig,
    pub clock: Clock,
    pub pool: MeasuredPool,
    origin: Origin,
    pub actors: Actors,
    /// The nodes on this database.
    pub cluster: Cluster,
    pub keys: Keys,
    /// From what they are made.
    pub signing_keys: SigningKeys,
    pub rotation_key: RotationKey,
    /// For access tokens whose signature takes long.
    pub signers: Threads,
    pub secrets: SecretStorage,
    pub counters: Counters,
    pub claims: ClaimsCache,
    pub repeats: RepeatWatch,
    /// For external services that are called during a request.
    pub http_client: reqwest::Client,
    /// For providers of identities.
    pub provider_clients: HttpClients,
    pub issuers: Issuers,
    pub mail: Arc<ArcSwap<MailSender>>,
    pub tree: TreeView,
    /// Of every supervisor.
    pub restart_policy: LivePolicy,
    /// The tree has failed too often.
    pub gave_up: CancellationToken,
    /// How far the front end has come in ending.
    pub drain: Drain,
    pub security: SecurityEvents,
    pub mail_stats: Arc<MailStats>,
    pub sms: SmsStats,
    /// How far Hasura's metadata is.
    pub hasura: MetadataState,
    pub started_at: OffsetDateTime,
    /// For those who ask whether this node is ready.
    pub ping: SharedPing,
    /// Held while a new configuration is read and put in force.
    pub reloading: Mutex<()>,
}

impl App {
    /// Around a tree that runs.
    pub fn new(
        parts: Parts,
        actors: Actors,
        rotation_key: RotationKey,
        secrets: SecretStorage,
        gave_up: CancellationToken,
    ) -> Self {
        Self {
            actors,
            keys: Arc::clone(&parts.keys.in_force),
            cluster: parts.cluster,
            signing_keys: parts.keys,
            rotation_key,
            signers: Threads::new("sign", available_parallelism().map_or(1, usize::from)),
            secrets,
            counters: parts.counters,
            claims: parts.claims,
            repeats: RepeatWatch::default(),
            http_client: parts.clients.anywhere().clone(),
            provider_clients: parts.clients,
            issuers: Issuers::default(),
            mail: parts.mail,
            tree: parts.tree,
            restart_policy: parts.policy,
            gave_up,
            drain: Drain::default(),
            security: SecurityEvents::default(),
            mail_stats: parts.mail_stats,
            sms: SmsStats::default(),
            hasura: MetadataState::default(),
            started_at: parts.clock.now(),
            config: parts.config,
            clock: parts.clock,
            pool: parts.pool,
            origin: parts.origin,
            ping: SharedPing::default(),
            reloading: Mutex::default(),
        }
    }

    /// The configuration in force; take it once per operation.
    pub fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
    }

    /// Who made the schema, by which some defaults differ: clients of an adopted database find what
    /// they are used to.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

impl Config {
    /// The settings that decide whether a user is welcome.
    pub fn user_rules(&self) -> UserRules<'_> {
        UserRules {
            email_access: &self.accounts.email_access,
            verification_required: self.accounts.email_verification_required,
        }
    }
}
