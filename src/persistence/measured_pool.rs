//! The pool, how long its connections are waited for, and a limit for what is done on them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr};
use tokio::time::timeout;

use super::pooled_connection::{PooledConnection, Transaction};
use super::time_limit::in_time;
use super::user_turns::{UserTurn, UserTurns};
use crate::domain::ids::UserId;
use crate::metrics::{Counter, Histogram};
use crate::tokens::refresh_token::TokenHash;

/// Added to the time in which Postgres ends a statement itself, before its connection is given up.
const GRACE: Duration = Duration::from_secs(1);

/// Of one pool.
#[derive(Debug)]
pub struct PoolStats {
    /// From asking for a connection to having one that works.
    pub waits: Histogram,
    /// Waits that were given up (`AUTH_POSTGRES_ACQUIRE_TIMEOUT`).
    pub timeouts: Counter,
}

impl Default for PoolStats {
    fn default() -> Self {
        Self { waits: Histogram::times(), timeouts: Counter::default() }
    }
}

/// A pool that measures and whose connections come back in bounded time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MeasuredPool {
    /// Private, so that nobody takes a connection past [`PooledConnection`].
    pool: PgPool,
    statement_limit: Duration,
    max_lifetime: Duration,
    turns: Arc<UserTurns>,
    stats: Arc<PoolStats>,
}

impl MeasuredPool {
    /// Measures from now on; Postgres ends statements after `statement_timeout`.
    pub fn new(pool: PgPool, statement_timeout: Duration) -> Self {
        let max_lifetime = pool.options().get_max_lifetime().unwrap_or(Duration::MAX);
        let statement_limit = statement_timeout.saturating_add(GRACE);
        let (turns, stats) = Default::default();
        Self { pool, statement_limit, max_lifetime, turns, stats }
    }

    /// What was measured.
    pub fn stats(&self) -> &PoolStats {
        &self.stats
    }

    /// Connections that are open, and those among them that nobody uses.
    pub fn open_and_idle(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Most connections at once.
    pub fn max_connections(&self) -> u32 {
        self.pool.options().get_max_connections()
    }

    /// How old a connection may become, also one that somebody keeps.
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// Ends every connection as it comes back; returns when there is none.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A connection, for statements that need the same one.
    pub async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        let asked = Instant::now();
        let acquired = self.pool.acquire().await;
        self.stats.waits.record_time(asked.elapsed());
        if matches!(acquired, Err(sqlx::Error::PoolTimedOut)) {
            self.stats.timeouts.increment();
        }
        Ok(PooledConnection::from(acquired?))
    }

    /// A connection with a transaction begun on it.
    pub async fn begin(&self) -> sqlx::Result<Transaction> {
        let connection = self.acquire().await?;
        in_time(self.statement_limit, Transaction::begin(connection)).await
    }

    /// A transaction that locks the row of this user.
    ///
    /// Those of one user come one after the other, here as in Postgres: many that wait for a row that
    /// somebody holds must not take all connections meanwhile. So nobody may begin a second one for a
    /// user before the first has ended.
    pub async fn begin_for(&self, user: UserId) -> sqlx::Result<Transaction> {
        let turn = self.turn_of(user).await?;
        let mut transaction = self.begin().await?;
        transaction.keep_turn(turn);
        Ok(transaction)
    }

    /// The turn of this user, for a single statement that locks their row; as in
    /// [`begin_for`](Self::begin_for).
    pub async fn turn_of(&self, user: UserId) -> sqlx::Result<UserTurn> {
        let turn = self.turns.take(user);
        timeout(self.pool.options().get_acquire_timeout(), turn)
            .await
            .map_err(|_elapsed| sqlx::Error::PoolTimedOut)
    }

    /// The same where the statement finds the user by a token: a crowd has one token.
    pub async fn turn_of_token(&self, token: TokenHash) -> sqlx::Result<UserTurn> {
        let (start, _) = token.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
        self.turn_of(UserId(uuid::Uuid::from_bytes(*start))).await
    }
}

/// As sqlx does it for its own pool, but for two things: a statement has a limit, since one that
/// Postgres has not ended by then has lost its connection; and its rows are read before the first is
/// handed on, since no statement here has many.
impl<'p> Executor<'p> for &'_ MeasuredPool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let results = async move {
            let mut connection = pool.acquire().await?;
            let results = connection.fetch_many(query).try_collect();
            let results: Vec<_> = in_time(pool.statement_limit, results).await?;
            Ok::<_, sqlx::Error>(stream::iter(results).map(Ok))
        };
        stream::once(results).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut connection = pool.acquire().await?;
            in_time(pool.statement_limit, connection.fetch_optional(query)).await
        })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut connection = pool.acquire().await?;
            in_time(pool.statement_limit, connection.prepare_with(sql, parameters)).await
        })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut connection = pool.acquire().await?;
            in_time(pool.statement_limit, connection.describe(sql)).await
        })
    }
}
