//! What every operation works with.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use time::OffsetDateTime;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::actors::challenge_store::ChallengeStore;
use crate::actors::courier::CourierMsg;
use crate::actors::janitor::JanitorMsg;
use crate::actors::key_rotator::{KeyRotatorMsg, Keys};
use crate::actors::limits::rate_limiter::{Counters, RateLimiterMsg};
use crate::actors::passwords::password_hasher::PasswordHasherMsg;
use crate::actors::runtime::handle::Handle;
use crate::actors::runtime::supervisor::{LivePolicy, TreeView};
use crate::actors::sessions::change_feed::ChangeFeedMsg;
use crate::actors::sessions::claims_cache::ClaimsCache;
use crate::actors::sessions::session_registry::SessionRegistry;
use crate::clients::HttpClients;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::user::UserRules;
use crate::drain::Drain;
use crate::metrics::{MailStats, SecurityEvents, SmsStats};
use crate::notify::sender::MailSender;
use crate::oauth::Issuers;
use crate::persistence::measured_pool::MeasuredPool;
use crate::sealing::SecretStorage;
use crate::threads::Threads;
use crate::tokens::chain::RotationKey;

/// Handles to actors, and the pool for what needs no actor. One per server.
pub struct App {
    pub config: LiveConfig,
    pub clock: Clock,
    pub pool: MeasuredPool,
    pub sessions: SessionRegistry,
    pub keys: Keys,
    pub key_rotator: Handle<KeyRotatorMsg>,
    pub rotation_key: RotationKey,
    /// For access tokens whose signature takes long.
    pub signers: Threads,
    pub secrets: SecretStorage,
    pub passwords: Handle<PasswordHasherMsg>,
    pub challenges: ChallengeStore,
    pub courier: Handle<CourierMsg>,
    pub change_feed: Handle<ChangeFeedMsg>,
    pub janitor: Handle<JanitorMsg>,
    pub counters: Counters,
    pub rate_limiter: Handle<RateLimiterMsg>,
    pub claims: ClaimsCache,
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
    pub started_at: OffsetDateTime,
    /// Held while a new configuration is read and put in force.
    pub reloading: Mutex<()>,
}

impl App {
    /// The configuration in force; take it once per operation.
    pub fn config(&self) -> Guard<Arc<Config>> {
        self.config.load()
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
