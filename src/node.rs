//! One running server: database, actors and front end, in the order in which they start and stop.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ractor::{Actor, ActorRef};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actors::change_feed::{ChangeFeed, ChangeFeedArgs, ChangeFeedMsg, FeedState};
use crate::actors::courier::{Courier, CourierArgs, CourierMsg};
use crate::actors::handle::{Handle, Slot};
use crate::actors::key_rotator::{KeyRotator, KeyRotatorArgs, KeyRotatorMsg};
use crate::actors::password_hasher::{PasswordHasher, PasswordHasherArgs, PasswordHasherMsg};
use crate::actors::session_registry::{SessionRegistry, UserCache};
use crate::actors::supervisor::{
    ChildSpec, RestartPolicy, Supervisor, SupervisorArgs, SupervisorMsg, TreeView,
};
use crate::app::App;
use crate::config::{Config, LiveConfig};
use crate::domain::clock::Clock;
use crate::domain::error::AuthError;
use crate::hasura;
use crate::http::routes;
use crate::http::server;
use crate::notify::sender::{MailSender, MailSetupError};
use crate::passwords::PasswordSettings;
use crate::persistence::{migrate, pool, settings};
use crate::tokens::chain::RotationKey;
use crate::tokens::keys::{KeyError, KeySet};

/// Requests that wait for the courier or the key rotator; both are rare.
const RARE_CALLS: usize = 64;

/// Why a server did not start; every text names what to change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("HASURA_GRAPHQL_JWT_SECRET: {0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Mail(#[from] MailSetupError),
    #[error("{0}")]
    Migrate(#[from] migrate::MigrateError),
    #[error("POSTGRES_CONNECTION: cannot use the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("HASURA_GRAPHQL_GRAPHQL_URL: {0}")]
    Hasura(#[from] hasura::MetadataError),
    #[error("{0}")]
    Listen(#[from] server::BindError),
    #[error("AUTH_API_PREFIX: {0}")]
    Routes(#[from] crate::http::router::RouteError),
    #[error("the supervision tree did not start: {0}")]
    Tree(#[from] ractor::SpawnErr),
}
