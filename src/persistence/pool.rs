//! The pool of run-time connections, and what is set on each of them.

use std::time::Duration;

use secrecy::SecretString;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::time::timeout;

use super::measured_pool::MeasuredPool;
use crate::config::DatabaseConfig;
use crate::persistence::connection_string::{ConnectionString, PoolParameters};

/// pgx's floor for the life of a connection, which operators of the reference are used to.
const MAX_LIFETIME: Duration = Duration::from_hours(1);
/// pgx's floor for how long a connection may idle.
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);
/// A connection that was used so shortly before is not tested: that would be a round trip for each
/// statement of a busy server. It was tested when it came back.
const TRUSTED_FOR: Duration = Duration::from_millis(100);
/// How long a connection that idled may take to say that it still works.
const TEST_LIMIT: Duration = Duration::from_millis(500);

/// Connections that the change feed keeps, beside the pool.
pub const LISTENERS: u32 = 1;

/// Opens the pool and proves that one connection works.
///
/// `max_connections` and `min_connections` of the configuration are final; the life times of
/// `pool_*` parameters in the connection string apply. The pool has one connection less than the
/// configuration allows, for the change feed ([`listener`]).
pub async fn connect(config: &DatabaseConfig) -> sqlx::Result<MeasuredPool> {
    let parsed = ConnectionString::parse(&config.url).map_err(configuration)?;
    parsed.check_files().map_err(configuration)?;
    let max_connections = config.max_connections.saturating_sub(LISTENERS).max(1);
    let pool = options(&parsed, config)
        .max_connections(max_connections)
        .min_connections(config.min_connections.min(max_connections))
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(parsed.pool.max_lifetime.unwrap_or(MAX_LIFETIME))
        .idle_timeout(parsed.pool.idle_timeout.unwrap_or(IDLE_TIMEOUT))
        // Its own test has no limit but that of the wait for a connection.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED_FOR {
                    return Ok(true);
                }
                Ok(matches!(timeout(TEST_LIMIT, connection.ping()).await, Ok(Ok(()))))
            })
        })
        .connect_with(parsed.options)
        .await?;
    Ok(MeasuredPool::new(pool, config.statement_timeout))
}

/// A connection for notifications, which goes with its listener.
///
/// It is not of the pool: what is done to clean it up has no limit, and a place in the pool would
/// wait for that.
///
/// Its statements are short, or are given up by Postgres itself: one that hung would keep the next
/// notification away until the lease is over.
pub async fn listener(config: &DatabaseConfig) -> sqlx::Result<PgListener> {
    let statement_timeout = config.statement_timeout.min(LISTENER_STATEMENT_TIMEOUT);
    let config = &DatabaseConfig { statement_timeout, ..config.clone() };
    let parsed = ConnectionString::parse(&config.url).map_err(configuration)?;
    let alone = options(&parsed, config)
        .max_connections(LISTENERS)
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_with(parsed.options)
        .await?;
    let mut listener = PgListener::connect_with(&alone).await?;
    listener.eager_reconnect(false);
    Ok(listener)
}

fn options(parsed: &ConnectionString, config: &DatabaseConfig) -> PgPoolOptions {
    let (session, ours) = (parsed.session.clone(), settings(config));
    PgPoolOptions::new().after_connect(move |connection, _meta| {
        let (session, ours) = (session.clone(), ours.clone());
        Box::pin(async move {
            session.apply(connection, &ours).await?;
            reach_extensions(connection, false).await
        })
    })
}

/// Below the time of a lease.
const LISTENER_STATEMENT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a statement of the pool waits for a lock, in milliseconds.
///
/// Locks of ours are held for the time of a commit. Whoever holds one longer (an operator, a
/// migration of an application) must not take the whole pool away by the requests that wait.
const LOCK_TIMEOUT_MS: u32 = 500;

/// What every connection of ours needs besides what the connection string says.
///
/// - Every statement goes through an index. The planner sees a table that is empty or small at that
///   time, prefers to read all of it, and stays with that plan while the table fills. What has no
///   index is read as a whole all the same, which must not look dear enough to be compiled (`jit`).
/// - Postgres notices clients that are gone, also while a statement of theirs waits for a lock.
fn settings(config: &DatabaseConfig) -> Vec<(&'static str, String)> {
    let fixed = [
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("tcp_user_timeout", "10s"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
        ("client_connection_check_interval", "250ms"),
    ];
    let mut settings = vec![
        ("statement_timeout", format!("{}ms", config.statement_timeout.as_millis())),
        ("lock_timeout", format!("{LOCK_TIMEOUT_MS}ms")),
    ];
    settings.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    settings
}

/// The pgx pool parameters in a connection string, for the defaults of the settings.
pub fn pool_parameters(url: &SecretString) -> sqlx::Result<PoolParameters> {
    Ok(ConnectionString::parse(url).map_err(configuration)?.pool)
}

/// Appends the schemas of `citext` and `pgcrypto` to the search path if it lacks them, because
/// operators (`citext = citext`) cannot be found otherwise.
pub(crate) async fn reach_extensions(
    conn: &mut PgConnection,
    this_transaction_only: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        select set_config('search_path', array_to_string(array(
            select quote_ident(s) from unnest(current_schemas(false) || missing.schemas) as s
        ), ', '), $1) as set
        from (
            select array_agg(distinct n.nspname) as schemas
            from pg_extension as e inner join pg_namespace as n on n.oid = e.extnamespace
            where e.extname in ('citext', 'pgcrypto') and n.nspname <> all(current_schemas(true))
        ) as missing
        where missing.schemas is not null
        "#,
        this_transaction_only
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

fn configuration(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(error))
}
