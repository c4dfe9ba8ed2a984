//! The listener for operators: what runs here, how well, and how much of it.
//!
//! Apart from the main front end in every respect: address, token, limits, life. It is up before
//! the other one and down after it, and serves while that one turns requests away. See
//! `docs/operations.md`.

pub mod actors;
pub mod auth;
pub mod cluster;
pub mod exposition;
pub mod housekeeping;
pub mod metrics;
pub mod page;
pub mod peers;
pub mod report;
pub mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceBuilder;

use self::auth::Auth;
use self::peers::Peers;
use crate::app::App;
use crate::drain::Drain;
use crate::http::layers::admission::Admission;
use crate::http::layers::client_address::TrustedProxies;
use crate::http::layers::local::LocalHosts;
use crate::http::layers::middleware::Wrap;
use crate::http::layers::trace::Trace;
use crate::http::message::route::{Limits, Turnstile};
use crate::http::pipeline::dispatch::{Dispatch, RequestBounds};
use crate::http::pipeline::router::{RouteError, RouteInfo, Router};
use crate::http::pipeline::routing::Routing;
use crate::http::serve::connection::Patience;
use crate::http::serve::listener;
use crate::http::serve::listener::BindError;
use crate::http::serve::server::{ServeSettings, serve};
use crate::metrics::HttpStats;
use crate::telemetry;

/// Requests at once: a few people and a few scrapers.
const MAX_CONCURRENCY: usize = 16;

/// Connections at once.
const MAX_CONNECTIONS: usize = 64;

const BOUNDS: RequestBounds =
    RequestBounds { max_body_bytes: 64 * 1_024, request_timeout: Duration::from_secs(10) };

const PATIENCE: Patience = Patience {
    header: Duration::from_secs(5),
    idle: Duration::from_mins(2),
    ready: Duration::from_secs(2),
    write: Duration::from_secs(20),
};

/// What its handlers work with.
pub struct Admin {
    pub app: Arc<App>,
    /// The routes of the main front end, and their metrics.
    pub routes: Vec<RouteInfo>,
    pub http: Arc<HttpStats>,
    /// Asks the other nodes.
    pub peers: Peers,
}

/// Every route of the listener.
pub fn router() -> Result<Router<Admin>, RouteError> {
    // Whoever has the token is let alone.
    let (limits, turnstile) = (Limits::NONE, Turnstile::NotAsked);
    let (get, patch) = (Method::GET, Method::PATCH);
    let mut routes = Router::builder("")
        .route(get.clone(), "/metrics", limits, turnstile, metrics::get)
        .route(get.clone(), "/ops", limits, turnstile, page::get)
        .route(get.clone(), "/ops/actors", limits, turnstile, actors::get)
        .route(get.clone(), "/ops/history", limits, turnstile, cluster::history)
        .route(get.clone(), "/ops/settings", limits, turnstile, settings::get)
        .route(patch.clone(), "/ops/settings", limits, turnstile, settings::patch)
        .route(get.clone(), "/ops/cluster", limits, turnstile, cluster::get)
        .route(patch, "/ops/cluster/settings", limits, turnstile, settings::patch_all)
        .route(get.clone(), "/ops/nodes/{id}/{question}", limits, turnstile, peers::get);
    for part in page::PARTS {
        routes = routes.route(get.clone(), part.path, limits, turnstile, page::part);
    }
    routes.build()
}

/// A running listener.
pub struct AdminServer {
    address: SocketAddr,
    task: JoinHandle<()>,
    drain: Drain,
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("{0}")]
    Listen(#[from] BindError),
    #[error("AUTH_ADMIN_BIND: the address cannot be read: {0}")]
    Address(#[source] std::io::Error),
    #[error("the admin listener has no routes: {0}")]
    Routes(#[from] RouteError),
    #[error("cannot make an HTTP client")]
    Client(#[from] reqwest::Error),
}

/// Opens the socket, before anything is started that a taken port would have to end.
pub fn bind(listen: SocketAddr) -> Result<TcpListener, AdminError> {
    Ok(listener::bind_for(listen, "AUTH_ADMIN_PORT", "AUTH_ADMIN_BIND")?)
}

impl AdminServer {
    /// Serves in a task of its own.
    #[expect(clippy::disallowed_methods, reason = "the value holds the task and waits for it")]
    pub fn start(listener: TcpListener, admin: Admin) -> Result<Self, AdminError> {
        let address = listener.local_addr().map_err(AdminError::Address)?;
        let router = Arc::new(router()?);
        let app = Arc::clone(&admin.app);
        let proxies = TrustedProxies::new(Arc::default());
        let stats = Arc::clone(router.stats());
        let connections = Arc::clone(&stats.connections);
        let service = ServiceBuilder::new()
            .layer(Wrap(Trace::new(telemetry::access_log(), proxies.clone())))
            .layer(Wrap(Auth::new(app)))
            .layer(Wrap(Routing::new(Arc::clone(&router), LocalHosts::new(address.ip()))))
            .layer(Wrap(Admission::new(MAX_CONCURRENCY, stats)))
            .service(Dispatch::new(router, Arc::new(admin), BOUNDS, None, || false));
        let settings = ServeSettings {
            patience: PATIENCE,
            max_connections: MAX_CONNECTIONS,
            max_of_network: MAX_CONNECTIONS,
            proxies,
            stats: connections,
            // Nobody who watches a stopping server may hold it up.
            shutdown_timeout: Duration::from_secs(1),
        };
        let drain = Drain::default();
        let stopped = drain.clone();
        let task = tokio::spawn(async move {
            serve(listener, service, settings, stopped).await;
        });
        Ok(Self { address, task, drain })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops; requests under way have a second.
    pub async fn shut_down(self) {
        self.drain.stop();
        if let Err(error) = self.task.await {
            tracing::error!(error = &error as &dyn std::error::Error, "admin listener ended badly");
        }
    }
}
