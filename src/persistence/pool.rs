//! The pool of run-time connections.

use std::time::Duration;

use secrecy::SecretString;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgConnection, PgPool, Postgres};

use super::measured_pool::MeasuredPool;
use crate::config::DatabaseConfig;
use crate::persistence::connection_string::{ConnectionString, PoolParameters};

/// pgx's floor for the life of a connection, which operators of the reference are used to.
const MAX_LIFETIME: Duration = Duration::from_hours(1);
/// pgx's floor for how long a connection may idle.
const IDLE_TIMEOUT: Duration = Duration::from_mins(30);

/// Opens the pool and proves that one connection works.
///
/// `max_connections` and `min_connections` of the configuration are final; the life times of
/// `pool_*` parameters in the connection string apply.
pub async fn connect(config: &DatabaseConfig) -> sqlx::Result<PgPool> {
    let parsed = ConnectionString::parse(&config.url).map_err(configuration)?;
    let statement_timeout = format!("{}ms", config.statement_timeout.as_millis());
    PgPoolOptions::new()
        .max_connections(config.max_connections.max(1))
        .min_connections(config.min_connections.min(config.max_connections))
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(parsed.pool.max_lifetime.unwrap_or(MAX_LIFETIME))
        .idle_timeout(parsed.pool.idle_timeout.unwrap_or(IDLE_TIMEOUT))
        .after_connect(move |conn, _meta| {
            let statement_timeout = statement_timeout.clone();
            Box::pin(async move {
                sqlx::query!(
                    "select set_config('statement_timeout', $1, false) as set",
                    statement_timeout
                )
                .fetch_one(&mut *conn)
                .await?;
                reach_extensions(conn, false).await
            })
        })
        .connect_with(parsed.options)
        .await
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

/// A connection for statements whose wait may be given up ([`in_time`]).
///
/// Dropped in the middle of a statement it is closed. In the pool, a connection on which nothing
/// arrives any more (of a server that failed over) would keep its place until the kernel gives it
/// up, which takes a quarter of an hour.
pub struct Abandonable {
    connection: PoolConnection<Postgres>,
    is_idle: bool,
}

impl Abandonable {
    /// Takes a connection from the pool.
    pub async fn acquire(pool: &MeasuredPool) -> sqlx::Result<Self> {
        Ok(Self { connection: pool.acquire().await?, is_idle: true })
    }

    /// The connection, for statements that end with [`Abandonable::give_back`].
    pub fn begin(&mut self) -> &mut PgConnection {
        self.is_idle = false;
        &mut self.connection
    }

    /// The statements have ended, well or badly.
    pub fn give_back(mut self) {
        self.is_idle = true;
    }
}

impl Drop for Abandonable {
    fn drop(&mut self) {
        if !self.is_idle {
            self.connection.close_on_drop();
        }
    }
}

/// Waits for `limit` at most: Postgres ends long statements itself, unless it is out of reach.
pub async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
