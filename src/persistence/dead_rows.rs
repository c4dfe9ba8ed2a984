//! `auth.refresh_tokens`: dead versions of its rows, and getting rid of them.

use std::time::Duration;

use sqlx::{PgConnection, PgExecutor};

use super::measured_pool::MeasuredPool;
use super::pooled_connection::PooledConnection;

/// What Postgres' statistics say.
#[derive(Clone, Copy, Debug)]
pub struct DeadRows {
    pub live: i64,
    pub dead: i64,
    /// Whether our role may vacuum the table; Postgres only warns those who may not.
    pub may_vacuum: bool,
}

/// How many there are, about.
pub async fn count(db: impl PgExecutor<'_>) -> sqlx::Result<Option<DeadRows>> {
    sqlx::query_as!(
        DeadRows,
        r#"
        select pg_stat_get_live_tuples(c.oid) as "live!", pg_stat_get_dead_tuples(c.oid) as "dead!",
               (pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage')
                or case when current_setting('server_version_num')::int >= 170000
                        then has_table_privilege(c.oid, 'maintain') else false
                   end) as "may_vacuum!"
          from pg_class c
          join pg_database d on d.datname = current_database()
         where c.oid = to_regclass('auth.refresh_tokens')
        "#
    )
    .fetch_optional(db)
    .await
}

/// Vacuums the table, for `limit` at most; not if somebody else holds it or vacuums it already.
///
/// It disturbs nobody who reads or writes rows. It rests as often as autovacuum does, works with one
/// process, and leaves the file as long as it is, because making it shorter needs a lock.
pub async fn vacuum(pool: &MeasuredPool, limit: Duration) -> sqlx::Result<()> {
    let mut apart = Apart(Some(pool.acquire().await?));
    let connection = apart.connection();
    sqlx::query!(
        r#"
        select set_config('statement_timeout', $1, false) as timeout,
               set_config('vacuum_cost_delay', '2ms', false) as delay,
               set_config('max_parallel_maintenance_workers', '0', false) as workers
        "#,
        format!("{}ms", limit.as_millis()),
    )
    .fetch_one(&mut *connection)
    .await?;
    // Not prepared, because it may not run in a transaction.
    sqlx::raw_sql("vacuum (skip_locked, truncate false) auth.refresh_tokens")
        .execute(&mut *connection)
        .await?;
    Ok(())
}

/// A connection whose settings are not for others: it is closed when it is dropped.
struct Apart(Option<PooledConnection>);

impl Apart {
    fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.close_on_drop();
        }
    }
}
