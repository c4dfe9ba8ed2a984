//! The raw cost of one batched UPDATE, on a table made for it.
//!
//! The table is a logged one in a schema of its own, dropped at the end (its name is older than that
//! of the command: what a killed run left behind is found under it): a temporary table would
//! skip the write-ahead log and its fsync, which are most of the cost. As that schema is in no
//! migration, the checked macros cannot see it, and these are plain queries with constant text.

use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// Rows of the table; batches walk through them in turn.
const ROWS: usize = 20_000;
/// Advisory lock that keeps two such runs on one database apart.
const LOCK: i64 = 0x6b77_666c_6f6f_7231;

/// A connection with its table, until [`UpdateBench::close`].
#[derive(Debug)]
pub struct UpdateBench {
    db: PgConnection,
    current: Vec<String>,
    next_row: usize,
    /// What rows are stamped with.
    at: OffsetDateTime,
}

/// What the batches of one size took.
#[derive(Clone, Copy, Debug)]
pub struct UpdateTime {
    pub statements: u64,
    pub rows: u64,
    pub elapsed: Duration,
}

impl UpdateBench {
    /// Makes the table; `None` if another run holds it.
    pub async fn open(options: &PgConnectOptions) -> sqlx::Result<Option<Self>> {
        let mut db = options.connect().await?;
        let free: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
            .bind(LOCK)
            .fetch_one(&mut db)
            .await?;
        if !free {
            db.close().await?;
            return Ok(None);
        }
        let at = sqlx::query_scalar("select now()").fetch_one(&mut db).await?;
        let current: Vec<String> = (0..ROWS).map(|_| fresh_hash()).collect();
        let mut bench = Self { db, current, next_row: 0, at };
        match bench.make_table().await {
            Ok(()) => Ok(Some(bench)),
            Err(error) => {
                // The first error says more than one of the cleaning up.
                let _ = bench.close().await;
                Err(error)
            }
        }
    }

    /// A table like the one of refresh tokens, with the lookup index that the hot path wants.
    async fn make_table(&mut self) -> sqlx::Result<()> {
        sqlx::raw_sql(
            "
            drop schema if exists keywright_bench_floor cascade;
            create schema keywright_bench_floor;
            create table keywright_bench_floor.tokens (
                id uuid primary key,
                user_id uuid not null,
                refresh_token_hash text not null,
                expires_at timestamptz not null,
                created_at timestamptz not null,
                type text not null,
                rotated_at timestamptz
            ) with (fillfactor = 70);
            ",
        )
        .execute(&mut self.db)
        .await?;
        let ids: Vec<Uuid> = self.current.iter().map(|_| Uuid::new_v4()).collect();
        sqlx::query(
            "
            insert into keywright_bench_floor.tokens
                (id, user_id, refresh_token_hash, expires_at, created_at, type)
            select id, id, hash, $3, $3, 'regular' from unnest($1::uuid[], $2::text[]) as n(id, hash)
            ",
        )
        .bind(&ids)
        .bind(&self.current)
        .bind(self.at)
        .execute(&mut self.db)
        .await?;
        sqlx::raw_sql(
            "
            create index on keywright_bench_floor.tokens using hash (refresh_token_hash);
            analyze keywright_bench_floor.tokens;
            ",
        )
        .execute(&mut self.db)
        .await?;
        Ok(())
    }

    /// Process id of this connection's server side.
    pub async fn backend_pid(&mut self) -> sqlx::Result<i32> {
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut self.db).await
    }

    /// The settings without which a result says nothing: `fsync`, `synchronous_commit`.
    pub async fn durability(&mut self) -> sqlx::Result<(String, String)> {
        let sql = "select current_setting('fsync'), current_setting('synchronous_commit')";
        sqlx::query_as(sql).fetch_one(&mut self.db).await
    }

    /// Updates `rows` rows a statement, one statement after the other, for about `time`; at least one.
    pub async fn run(
        &mut self,
        rows: usize,
        time: Duration,
        go_on: impl Fn() -> bool,
    ) -> sqlx::Result<UpdateTime> {
        let rows = rows.clamp(1, ROWS);
        // The first time also pays for the plan.
        self.update(rows).await?;
        let mut total = UpdateTime { statements: 0, rows: 0, elapsed: Duration::ZERO };
        while total.statements == 0 || (total.elapsed < time && go_on()) {
            let start = Instant::now();
            total.rows += self.update(rows).await?;
            total.statements += 1;
            total.elapsed += start.elapsed();
        }
        Ok(total)
    }

    async fn update(&mut self, rows: usize) -> sqlx::Result<u64> {
        if self.next_row + rows > ROWS {
            self.next_row = 0;
        }
        let range = self.next_row..self.next_row + rows;
        let next: Vec<String> = range.clone().map(|_| fresh_hash()).collect();
        let updated = sqlx::query(
            "
            update keywright_bench_floor.tokens as t
               set refresh_token_hash = n.next, rotated_at = $3
              from unnest($1::text[], $2::text[]) as n(current, next)
             where t.refresh_token_hash = n.current
            returning t.id, t.user_id
            ",
        )
        .bind(&self.current[range.clone()])
        .bind(&next)
        .bind(self.at)
        .fetch_all(&mut self.db)
        .await?;
        self.current[range].clone_from_slice(&next);
        self.next_row += rows;
        Ok(updated.len() as u64)
    }

    /// Drops the table and its schema and disconnects.
    pub async fn close(mut self) -> sqlx::Result<()> {
        sqlx::raw_sql("drop schema if exists keywright_bench_floor cascade")
            .execute(&mut self.db)
            .await?;
        self.db.close().await
    }
}

/// As long and as evenly spread as the stored form of a refresh token.
fn fresh_hash() -> String {
    format!("\\x{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
