//! One running server: database, actors and front end, in the order in which they start and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Method;
use secrecy::ExposeSecret;
use sqlx::Connection as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::actors::cluster::digest::{Fingerprinter, Fingerprints};
use crate::actors::cluster::{Cluster, Identity};
use crate::actors::limits::counter_key::CounterKey;
use crate::actors::parts::{InCommon, Parts};
use crate::actors::signing_keys::{self, SigningKeys, UnusableKey};
use crate::actors::tree::{self, Root};
use crate::app::App;
use crate::config::{Config, StorageCompatibility};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::hasura::background;
use crate::http::admin::peers::Peers;
use crate::http::admin::{self, Admin, AdminError, AdminServer};
use crate::http::layers::proxy_watch::ProxyWatch;
use crate::http::layers::rate_limit::RateLimitParts;
use crate::http::layers::turnstile::TurnstileParts;
use crate::http::pipeline::front_end::Guards;
use crate::http::pipeline::router::{RouteInfo, Router};
use crate::http::routes;
use crate::http::serve::server;
use crate::notify::sender::{MailSender, MailSetupError};
use crate::passwords::{PasswordForm, PasswordSettings};
use crate::persistence::connection_string::ConnectionString;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::{Origin, StoredKey};
use crate::persistence::{
    migrate, nodes, overrides, pool, settings, start_wait, time_limit, user_providers,
};
use crate::reload::{ReloadError, all_nodes};
use crate::sealing::{InvalidKey, Sealer, SecretStorage};
use crate::tokens::chain::RotationKey;
use crate::tokens::key_ring::ConfiguredKey;
use crate::tokens::keys::{KeyError, KeySet};
use crate::vitals::{self, Watched};

/// How long a stopping server tries to tell the others.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a stopping server waits for its last connections to Postgres.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server did not start; every text names what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Mail(#[from] MailSetupError),
    #[error(transparent)]
    Migrate(#[from] migrate::MigrateError),
    #[error("POSTGRES_CONNECTION: cannot use the database")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Listen(#[from] server::BindError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("AUTH_BIND: the address cannot be read")]
    Address(#[source] std::io::Error),
    #[error("AUTH_API_PREFIX")]
    Routes(#[from] crate::http::pipeline::router::RouteError),
    #[error("AUTH_PASSWORD_*")]
    Passwords(#[from] AuthError),
    #[error("AUTH_ENCRYPTION_KEY")]
    Sealing(#[from] InvalidKey),
    #[error(transparent)]
    SigningKey(#[from] UnusableKey),
    #[error("cannot make an HTTP client")]
    Outside(#[from] reqwest::Error),
    #[error("settings that hold for all nodes could not be put in force")]
    Overrides(#[from] ReloadError),
    #[error("the supervision tree did not start")]
    Tree(#[from] ractor::SpawnErr),
}

/// A running server.
pub struct Node {
    app: Arc<App>,
    address: SocketAddr,
    root: Root,
    gave_up: CancellationToken,
    front_end: JoinHandle<()>,
    admin: Option<AdminServer>,
    /// End with the node, wherever they have come to.
    _beside: [AbortOnDropHandle<()>; 3],
}

impl Node {
    /// Migrates the database, starts the actors, then the front end.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, StartError> {
        let configured = ConfiguredKey::from_secret(&config.tokens.jwt_secret)?;
        let listener = server::bind(config.server.listen)?;
        let admin_listener = config.admin.listen.map(admin::bind).transpose()?;
        let address = listener.local_addr().map_err(StartError::Address)?;

        let (pool, origin) = prepare_database(&config).await?;
        let default_locale = config.accounts.locales.default_locale();
        let mail = MailSender::from_config(&config.mail, default_locale, origin)?;
        let (rotation_key, passwords, secrets) = read_shared_settings(&config, &pool).await?;
        let keys = read_signing_keys(&config, configured, &pool, &secrets.sealer).await?;
        let fingerprinter = read_fingerprinter(&pool).await?;
        let in_force = keys.in_force.load();
        let fingerprints = fingerprints(&fingerprinter, &in_force, &rotation_key, &secrets);
        drop(in_force);
        let admin_address = admin_listener.as_ref().map(TcpListener::local_addr).transpose();
        let own = Identity::new(
            config.server.node_name.clone(),
            address,
            admin_address.map_err(AdminError::Address)?,
        );
        let cluster = Cluster::new(own, clock.clone(), fingerprinter, fingerprints);
        let overrides = overrides::read(&pool).await?;
        cluster.begin_with(overrides.clone());

        let parts = Parts::new(
            Arc::new(ArcSwap::from_pointee(config)),
            clock,
            pool,
            origin,
            keys,
            Arc::new(ArcSwap::from_pointee(mail)),
            InCommon { passwords, counter_key: CounterKey::derive(&secrets.sealer), cluster },
        )?;
        let gave_up = CancellationToken::new();
        let (actors, root) = tree::start(&parts, gave_up.clone()).await?;
        let app = Arc::new(App::new(parts, actors, rotation_key, secrets, gave_up.clone()));

        Box::pin(all_nodes::follow(&app, &overrides)).await?;
        let loaded = app.config();
        let router = Arc::new(routes::router(&loaded.server, &loaded.mail.transport)?);
        let admin = admin_listener.map(|socket| start_admin(socket, &app, &router)).transpose()?;
        let watched = watched(&router);
        let front_end = server::start(
            listener,
            router,
            Arc::clone(&app),
            Arc::clone(&app.config),
            origin,
            guards(&app),
            app.drain.clone(),
        );
        drop(loaded);
        let beside = [
            tell_hasura(&app),
            beside(vitals::keep_looking(Arc::clone(&app), watched)),
            beside(all_nodes::keep_following(Arc::clone(&app))),
        ];
        Ok(Self { app, address, root, gave_up, front_end, admin, _beside: beside })
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

    /// Returns when the supervision tree has given up; the node must then be shut down.
    pub async fn gave_up(&mut self) {
        tokio::select! {
            () = self.gave_up.cancelled() => {}
            // A root that panicked has given up just as well.
            _ = &mut self.root.ended => self.gave_up.cancel(),
        }
    }

    /// From now on it says that it is not ready and asks clients to go, and serves them all the same.
    pub fn drain(&self) {
        self.app.drain.begin();
    }

    /// Takes no new requests, finishes those in flight, then stops actors and pool.
    pub async fn shut_down(self) {
        self.app.drain.stop();
        let (front_end, ()) = tokio::join!(self.front_end, say_farewell(&self.app));
        if let Err(error) = front_end {
            tracing::error!(error = &error as &dyn std::error::Error, "front end ended badly");
        }
        if !self.root.ended.is_finished() {
            self.root.actor.stop(Some("the node shuts down".to_owned()));
            let _ = self.root.ended.await;
        }
        if let Some(admin) = self.admin {
            admin.shut_down().await;
        }
        // A connection on which nothing arrives any more is never returned to the pool.
        if timeout(CLOSE_TIMEOUT, self.app.pool.close()).await.is_err() {
            tracing::warn!("connections to Postgres are still busy, leaving them");
        }
    }
}

/// The others need not wait until they miss this node.
async fn say_farewell(app: &App) {
    let farewell = nodes::stop(&app.pool, app.cluster.id());
    if let Err(error) = time_limit::in_time(FAREWELL_TIMEOUT, farewell).await {
        tracing::info!(
            error = &error as &dyn std::error::Error,
            "the others will miss this node, which could not tell them that it stops"
        );
    }
}

/// The requests whose rate and times are told to the others.
fn watched(router: &Router<App>) -> Watched {
    let is_refresh = |route: &RouteInfo| {
        route.method == Method::POST && route.path[route.prefix_length..] == *"/token"
    };
    let refresh = router.routes().iter().position(is_refresh).unwrap_or(usize::MAX);
    Watched { http: Arc::clone(router.stats()), refresh }
}

/// Work for as long as the node lives.
#[expect(clippy::disallowed_methods, reason = "the node holds the task")]
fn beside(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work))
}

/// Beside everything else: Hasura is a neighbour, and may itself be waiting for our keys.
fn tell_hasura(app: &Arc<App>) -> AbortOnDropHandle<()> {
    let app = Arc::clone(app);
    beside(async move { background::keep_applying(Arc::clone(&app.config), &app.hasura).await })
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
        peers: Peers::new()?,
    };
    AdminServer::start(listener, admin)
}

/// What the front end guards the routes with.
fn guards(app: &App) -> Guards {
    Guards {
        rate_limit: Some(RateLimitParts {
            config: Arc::clone(&app.config),
            counters: app.counters.clone(),
            proxies: ProxyWatch::default(),
        }),
        turnstile: Some(TurnstileParts {
            config: Arc::clone(&app.config),
            client: app.http_client.clone(),
            counters: app.counters.clone(),
        }),
    }
}

/// Connections to a database that is ready, and who made its schema.
async fn prepare_database(config: &Config) -> Result<(MeasuredPool, Origin), StartError> {
    let report = migrate::migrate(&config.database).await?;
    tracing::info!(report = %report, "database is ready");
    if config.database.migrations_url.is_some() {
        // Another way to Postgres, a pooler perhaps, which may come up later.
        await_run_time_connection(config).await?;
    }
    let pool = pool::connect(&config.database).await?;
    let roles = &config.accounts.roles;
    let mut wanted = roles.allowed().to_vec();
    wanted.push(roles.default_role().to_owned());
    let inserted = migrate::seed_roles(&pool, &wanted).await?;
    if !inserted.is_empty() {
        tracing::info!(roles = inserted.join(", "), "inserted roles");
    }
    user_providers::seed(&pool, &config.providers.custom_ids()).await?;
    Ok((pool, report.origin))
}

async fn await_run_time_connection(config: &Config) -> Result<(), StartError> {
    let string = ConnectionString::parse(&config.database.url)
        .map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
    let limit = config.database.start_timeout;
    start_wait::connect("POSTGRES_CONNECTION", &string, limit).await?.close().await?;
    Ok(())
}

/// What all nodes on this database must agree on.
async fn read_shared_settings(
    config: &Config,
    pool: &MeasuredPool,
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
    let sealer = Arc::new(read_sealer(config, pool).await?);
    let secrets = SecretStorage { sealer, seals };
    Ok((rotation_key, passwords, secrets))
}

/// The configured key, and those of the database; one that cannot be opened stops the start.
async fn read_signing_keys(
    config: &Config,
    configured: ConfiguredKey,
    pool: &MeasuredPool,
    sealer: &Arc<Sealer>,
) -> Result<SigningKeys, StartError> {
    let loaded = signing_keys::load(pool, sealer).await?;
    if let Some(unusable) = loaded.unusable() {
        return Err(unusable.clone().into());
    }
    if config.tokens.key_rotation.is_some() && loaded.kids().is_none() {
        tracing::warn!(
            setting = "AUTH_JWT_KEY_ROTATION",
            "nothing rotates while the key of the configuration signs: keywright keys migrate"
        );
    }
    Ok(SigningKeys::new(configured, loaded, Arc::clone(sealer)))
}

/// Hashes what all nodes must agree on, so that they can compare it.
async fn read_fingerprinter(pool: &MeasuredPool) -> Result<Fingerprinter, StartError> {
    let key = settings::get_or_create_key(pool, StoredKey::Fingerprints, fresh_key()).await?;
    Ok(Fingerprinter::new(&key))
}

fn fingerprints(
    by: &Fingerprinter,
    keys: &KeySet,
    rotation: &RotationKey,
    secrets: &SecretStorage,
) -> Fingerprints {
    let storage = if secrets.seals {
        StorageCompatibility::Keywright
    } else {
        StorageCompatibility::Reference
    };
    by.all(keys, rotation, &secrets.sealer, storage, migrate::newest())
}

/// The database's key stays at hand where another is configured: it opens what it sealed.
pub(crate) async fn read_sealer(
    config: &Config,
    pool: &MeasuredPool,
) -> Result<Sealer, StartError> {
    let configured = config.sealing.key.as_ref();
    let stored = if configured.is_some() {
        settings::find_key(pool, StoredKey::Sealing).await?
    } else {
        Some(settings::get_or_create_key(pool, StoredKey::Sealing, fresh_key()).await?)
    };
    let stored = stored.as_ref().map(ExposeSecret::expose_secret);
    Ok(Sealer::new(configured, stored)?)
}

/// 32 random bytes, used if no node has put a key into the database before.
fn fresh_key() -> [u8; 32] {
    let mut key = [0; 32];
    aws_lc_rs::rand::fill(&mut key).expect("the operating system has randomness");
    key
}
