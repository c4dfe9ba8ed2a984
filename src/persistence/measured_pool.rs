//! The pool, and how long its connections are waited for.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr, Transaction};

use crate::metrics::{Counter, Histogram};

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

/// A pool that measures; everything else is sqlx's. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MeasuredPool {
    pool: PgPool,
    stats: Arc<PoolStats>,
}

impl MeasuredPool {
    /// Measures from now on.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, stats: Arc::default() }
    }

    /// What was measured.
    pub fn stats(&self) -> &PoolStats {
        &self.stats
    }

    /// A connection, for statements that need the same one.
    pub async fn acquire(&self) -> sqlx::Result<PoolConnection<Postgres>> {
        let asked = Instant::now();
        let acquired = self.pool.acquire().await;
        self.stats.waits.record_time(asked.elapsed());
        if matches!(acquired, Err(sqlx::Error::PoolTimedOut)) {
            self.stats.timeouts.increment();
        }
        acquired
    }

    /// A connection with a transaction begun on it.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Postgres>> {
        Transaction::begin(self.acquire().await?, None).await
    }
}

impl Deref for MeasuredPool {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

/// As sqlx does it for its own pool, but for one thing: the rows of a statement are read before the
/// first is handed on, since no statement here has many.
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
            let results: Vec<_> = connection.fetch_many(query).try_collect().await?;
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
        Box::pin(async move { pool.acquire().await?.fetch_optional(query).await })
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
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}
