//! One running server: database, actors and front end, in the order in which they start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorRef};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::actors::challenge_store::ChallengeStore;
use crate::actors::courier::{Courier, CourierArgs, CourierMsg, CourierOptions};
use crate::actors::janitor::{Janitor, JanitorArgs, JanitorMsg};
use crate::actors::key_rotator::{KeyRotator, KeyRotatorArgs, KeyRotatorMsg, Keys};
use crate::actors::limits::rate_limiter::{Counters, RateLimiter, RateLimiterMsg};
use crate::actors::passwords::password_hasher::{
    HashLimits, PasswordHasher, PasswordHasherArgs, PasswordHasherMsg,
};
use crate::actors::runtime::handle::{Handle, Slot};
use crate::actors::runtime::supervisor::{
    ChildSpec, LivePolicy, Supervisor, SupervisorArgs, SupervisorMsg, TreeView,
};
use crate::actors::sessions::change_feed::{ChangeFeed, ChangeFeedArgs, ChangeFeedMsg};
use crate::actors::sessions::claims_cache::ClaimsCache;
use crate::actors::sessions::feed_lease::FeedState;
use crate::actors::sessions::session_registry::SessionRegistry;
use crate::actors::sessions::user_cache::UserCache;
use crate::app::App;
use crate::clients::HttpClients;
use crate::config::{Config, LiveConfig, StorageCompatibility};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::drain::Drain;
use crate::hasura::{self, Retry};
use crate::http::admin::{self, Admin, AdminError, AdminServer};
use crate::http::layers::rate_limit::RateLimitParts;
use crate::http::layers::turnstile::TurnstileParts;
use crate::http::pipeline::front_end::Guards;
use crate::http::pipeline::router::Router;
use crate::http::routes;
use crate::http::serve::server;
use crate::metrics::{MailStats, SecurityEvents, SmsStats};
use crate::notify::sender::{MailSender, MailSetupError};
use crate::oauth::Issuers;
use crate::passwords::{PasswordForm, PasswordSettings};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::StoredKey;
use crate::persistence::{migrate, pool, settings, user_providers};
use crate::sealing::SecretStorage;
use crate::sealing::{InvalidKey, Sealer};
use crate::threads::Threads;
use crate::tokens::chain::RotationKey;
use crate::tokens::keys::{KeyError, KeySet};

/// How long a stopping server waits for its last connections to Postgres.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server did not start; every text names what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Mail(#[from] MailSetupError),
    #[error("{0}")]
    Migrate(#[from] migrate::MigrateError),
    #[error("POSTGRES_CONNECTION: cannot use the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("{0}")]
    Hasura(#[from] hasura::HasuraError),
    #[error("{0}")]
    Listen(#[from] server::BindError),
    #[error("{0}")]
    Admin(#[from] AdminError),
    #[error("AUTH_BIND: the address cannot be read: {0}")]
    Address(#[source] std::io::Error),
    #[error("AUTH_API_PREFIX: {0}")]
    Routes(#[from] crate::http::pipeline::router::RouteError),
    #[error("AUTH_PASSWORD_*: {0}")]
    Passwords(#[from] AuthError),
    #[error("AUTH_ENCRYPTION_KEY: {0}")]
    Sealing(#[from] InvalidKey),
    #[error("cannot make an HTTP client: {0}")]
    Outside(#[from] reqwest::Error),
    #[error("the supervision tree did not start: {0}")]
    Tree(#[from] ractor::SpawnErr),
}

/// A running server.
pub struct Node {
    app: Arc<App>,
    address: SocketAddr,
    root: ActorRef<SupervisorMsg>,
    root_ended: JoinHandle<()>,
    gave_up: CancellationToken,
    front_end: JoinHandle<()>,
    admin: Option<AdminServer>,
}

impl Node {
    /// Migrates the database, starts the actors, then the front end.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let keys = KeySet::from_secret(&config.tokens.jwt_secret)?;
        let mail = MailSender::from_config(&config.mail, config.accounts.locales.default_locale())?;
        let listener = server::bind(config.server.listen)?;
        let admin_listener = config.admin.listen.map(admin::bind).transpose()?;
        let address = listener.local_addr().map_err(StartError::Address)?;

        let pool = prepare_database(&config).await?;
        hasura::apply_metadata(&config.hasura, Retry::default()).await?;
        let (rotation_key, password_settings, secrets) =
            read_shared_settings(&config, &pool).await?;

        let pool = MeasuredPool::new(pool);
        let config: LiveConfig = Arc::new(ArcSwap::from_pointee(config));
        let parts = Parts {
            keys: Arc::new(ArcSwap::from_pointee(keys)),
            mail: Arc::new(ArcSwap::from_pointee(mail)),
            config,
            clock,
            pool,
            password_settings,
            secrets,
        };
        let gave_up = CancellationToken::new();
        let (app, root, root_ended) = start_actors(parts, rotation_key, gave_up.clone()).await?;

        let loaded = app.config();
        let router = Arc::new(routes::router(&loaded.server, &loaded.mail.transport)?);
        let admin = admin_listener.map(|socket| start_admin(socket, &app, &router)).transpose()?;
        let front_end = server::start(
            listener,
            router,
            Arc::clone(&app),
            Arc::clone(&app.config),
            guards(&app),
            app.drain.clone(),
        );
        drop(loaded);
        Ok(Self { app, address, root, root_ended, gave_up, front_end, admin })
    }

    /// Where the front end listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the listener for operators listens, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(AdminServer::address)
    }

    /// What the operations work with.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Comes back when the supervision tree has given up; the node must then be shut down.
    pub async fn gave_up(&mut self) {
        tokio::select! {
            () = self.gave_up.cancelled() => {}
            // A root that panicked has given up just as well.
            _ = &mut self.root_ended => self.gave_up.cancel(),
        }
    }

    /// From now on it says that it is not ready and asks clients to go, and serves them all the same.
    pub fn drain(&self) {
        self.app.drain.begin();
    }

    /// Takes no new requests, finishes those in flight, then stops actors and pool.
    pub async fn shut_down(self) {
        self.app.drain.stop();
        if let Err(error) = self.front_end.await {
            tracing::error!(error = &error as &dyn std::error::Error, "front end ended badly");
        }
        if !self.root_ended.is_finished() {
            self.root.stop(Some("the node shuts down".to_owned()));
            let _ = self.root_ended.await;
        }
        if let Some(admin) = self.admin {
            admin.shut_down().await;
        }
        // A connection on which nothing comes back any more is never returned to the pool.
        if timeout(CLOSE_TIMEOUT, self.app.pool.close()).await.is_err() {
            tracing::warn!("connections to Postgres are still busy, leaving them");
        }
    }
}

/// The listener for operators.
fn start_admin(
    listener: TcpListener,
    app: &Arc<App>,
    main: &Router<App>,
) -> Result<AdminServer, AdminError> {
    let admin = Admin {
        app: Arc::clone(app),
        routes: main.routes().to_vec(),
        http: Arc::clone(main.stats()),
    };
    AdminServer::start(listener, admin)
}

/// What the front end guards the routes with.
fn guards(app: &App) -> Guards {
    Guards {
        rate_limit: Some(RateLimitParts {
            config: Arc::clone(&app.config),
            counters: app.counters.clone(),
        }),
        turnstile: Some(TurnstileParts {
            config: Arc::clone(&app.config),
            client: app.http_client.clone(),
            counters: app.counters.clone(),
        }),
    }
}

async fn prepare_database(config: &Config) -> Result<PgPool, StartError> {
    let report = migrate::migrate(&config.database).await?;
    tracing::info!(report = %report, "database is ready");
    let pool = pool::connect(&config.database).await?;
    let roles = &config.accounts.roles;
    let mut wanted = roles.allowed().to_vec();
    wanted.push(roles.default_role().to_owned());
    let inserted = migrate::seed_roles(&pool, &wanted).await?;
    if !inserted.is_empty() {
        tracing::info!(roles = inserted.join(", "), "inserted roles");
    }
    user_providers::seed(&pool, &config.providers.custom_ids()).await?;
    Ok(pool)
}

/// What all nodes on this database must agree on.
async fn read_shared_settings(
    config: &Config,
    pool: &PgPool,
) -> Result<(RotationKey, PasswordSettings, SecretStorage), StartError> {
    let rotation_key = if let Some(material) = &config.tokens.refresh_key {
        RotationKey::derive(material.expose_secret().as_bytes())
    } else {
        let key = settings::get_or_create_key(pool, StoredKey::Rotation, fresh_key()).await?;
        RotationKey::from_bytes(key.expose_secret())
    };
    let storage = settings::storage_compatibility(pool, config.database.storage).await?;
    let written = match storage {
        StorageCompatibility::Reference => PasswordForm::Bcrypt,
        StorageCompatibility::Keywright => PasswordForm::Argon2id,
    };
    settings::record_password_form(pool, written).await?;
    let present = settings::password_forms(pool).await?;
    let passwords = PasswordSettings::new(&config.passwords, written, present)?;
    let seals = storage == StorageCompatibility::Keywright;
    let secrets = SecretStorage { sealer: read_sealer(config, pool).await?, seals };
    Ok((rotation_key, passwords, secrets))
}

/// The database's key stays at hand where another is configured: it opens what it sealed.
async fn read_sealer(config: &Config, pool: &PgPool) -> Result<Sealer, StartError> {
    let configured = config.sealing.key.as_ref();
    let stored = if configured.is_some() {
        settings::find_key(pool, StoredKey::Sealing).await?
    } else {
        Some(settings::get_or_create_key(pool, StoredKey::Sealing, fresh_key()).await?)
    };
    let stored = stored.as_ref().map(ExposeSecret::expose_secret);
    Ok(Sealer::new(configured, stored)?)
}

/// What the actors are made of.
struct Parts {
    keys: Keys,
    mail: Arc<ArcSwap<MailSender>>,
    config: LiveConfig,
    clock: Clock,
    pool: MeasuredPool,
    password_settings: PasswordSettings,
    secrets: SecretStorage,
}

async fn start_actors(
    parts: Parts,
    rotation_key: RotationKey,
    gave_up: CancellationToken,
) -> Result<(Arc<App>, ActorRef<SupervisorMsg>, JoinHandle<()>), StartError> {
    let Parts { keys, mail, config, clock, pool, password_settings, secrets } = parts;
    let settings = config.load().actors.clone();
    let provider_clients = HttpClients::new()?;
    let policy = LivePolicy::from(settings.restart_policy());
    let tree = TreeView::default();
    let feed_state = Arc::new(FeedState::default());
    let users = UserCache::new(settings.user_cache_mib, Arc::clone(&feed_state));
    let (sessions, session_registry) = SessionRegistry::new(
        &settings,
        policy.clone(),
        tree.clone(),
        &pool,
        &clock,
        &config,
        users.clone(),
    );

    let (challenges, challenge_store) = ChallengeStore::start(&pool, &clock, &config);
    let slots = Slots::default();
    let key_rotator_args = KeyRotatorArgs { config: config.clone(), keys: keys.clone() };
    let feed_args = ChangeFeedArgs { pool: PgPool::clone(&pool), users, state: feed_state };
    let janitor_args = JanitorArgs { pool: PgPool::clone(&pool), clock: clock.clone() };
    let (counters, mail_stats) = (Counters::new(&clock), Arc::new(MailStats::default()));
    let counted = counters.clone();
    let courier_args = courier_args(&pool, &clock, &mail, &config, &mail_stats);
    let hasher_args = hasher_args(password_settings, &config, &sessions, &slots);
    let children = vec![
        ChildSpec::actor(
            "key_rotator",
            &slots.key_rotator,
            || KeyRotator,
            move || key_rotator_args.clone(),
        ),
        ChildSpec::actor(
            "change_feed",
            &slots.change_feed,
            || ChangeFeed,
            move || feed_args.clone(),
        ),
        session_registry,
        ChildSpec::actor(
            "password_hasher",
            &slots.passwords,
            || PasswordHasher,
            move || hasher_args.clone(),
        ),
        challenge_store,
        ChildSpec::actor("courier", &slots.courier, || Courier, courier_args),
        ChildSpec::actor("janitor", &slots.janitor, || Janitor, move || janitor_args.clone()),
        ChildSpec::actor(
            "rate_limiter",
            &slots.rate_limiter,
            || RateLimiter,
            move || counted.clone(),
        ),
    ];
    let args = SupervisorArgs {
        path: String::new(),
        policy: policy.clone(),
        tree: tree.clone(),
        children,
        gave_up: Some(gave_up.clone()),
    };
    let (root, root_ended) = Actor::spawn(None, Supervisor, args).await?;

    let (max_in_flight, call_timeout) = (settings.max_in_flight, settings.call_timeout);
    let max_hashes = config.load().passwords.max_in_flight();
    let app = App {
        sessions,
        keys,
        key_rotator: Handle::new("key rotator", slots.key_rotator, max_in_flight, call_timeout),
        change_feed: Handle::new("change feed", slots.change_feed, max_in_flight, call_timeout),
        passwords: Handle::new("password hasher", slots.passwords, max_hashes, call_timeout),
        challenges,
        courier: Handle::new("courier", slots.courier, max_in_flight, call_timeout),
        janitor: Handle::new("janitor", slots.janitor, max_in_flight, call_timeout),
        rate_limiter: Handle::new("rate limiter", slots.rate_limiter, max_in_flight, call_timeout),
        counters,
        claims: ClaimsCache::default(),
        http_client: provider_clients.anywhere().clone(),
        provider_clients,
        issuers: Issuers::default(),
        rotation_key,
        signers: Threads::new("sign", available_parallelism().map_or(1, usize::from)),
        secrets,
        mail,
        config,
        started_at: clock.now(),
        clock,
        pool,
        tree,
        restart_policy: policy,
        gave_up,
        drain: Drain::default(),
        security: SecurityEvents::default(),
        mail_stats,
        sms: SmsStats::default(),
        reloading: Mutex::default(),
    };
    Ok((Arc::new(app), root, root_ended))
}

/// What each incarnation of the courier works with: mail and limits as they are at its start.
fn courier_args(
    pool: &PgPool,
    clock: &Clock,
    mail: &Arc<ArcSwap<MailSender>>,
    config: &LiveConfig,
    stats: &Arc<MailStats>,
) -> impl Fn() -> CourierArgs + Send + Sync + 'static {
    let (pool, clock, mail) = (pool.clone(), clock.clone(), Arc::clone(mail));
    let (config, stats) = (Arc::clone(config), Arc::clone(stats));
    move || CourierArgs {
        pool: pool.clone(),
        clock: clock.clone(),
        sender: mail.load_full(),
        options: CourierOptions {
            concurrency: config.load().actors.courier_concurrency,
            ..CourierOptions::default()
        },
        stats: Arc::clone(&stats),
    }
}

fn hasher_args(
    settings: PasswordSettings,
    config: &LiveConfig,
    sessions: &SessionRegistry,
    slots: &Slots,
) -> PasswordHasherArgs {
    let (config, sessions) = (Arc::clone(config), sessions.clone());
    let stats = Arc::clone(slots.passwords.stats());
    let limits = Arc::new(move || {
        let config = config.load();
        let passwords = &config.passwords;
        HashLimits {
            threads: passwords.threads,
            queue: passwords.queue,
            least_share: passwords.least_share,
        }
    });
    let rotations = Arc::new(move || sessions.rotations());
    PasswordHasherArgs { settings, limits, rotations, stats }
}

/// Where the handles find the live actors.
#[derive(Default)]
struct Slots {
    key_rotator: Arc<Slot<KeyRotatorMsg>>,
    change_feed: Arc<Slot<ChangeFeedMsg>>,
    passwords: Arc<Slot<PasswordHasherMsg>>,
    courier: Arc<Slot<CourierMsg>>,
    janitor: Arc<Slot<JanitorMsg>>,
    rate_limiter: Arc<Slot<RateLimiterMsg>>,
}

/// 32 random bytes, used if no node has put a key into the database before.
fn fresh_key() -> [u8; 32] {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).expect("the operating system has randomness");
    key
}
