//! What `keywright doctor` asks the database.

use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::stored_time::StoredTime;

/// The state of the server and of the outbox.
#[derive(Debug)]
pub struct Diagnosis {
    pub server_version: String,
    pub server_time: OffsetDateTime,
    pub outbox_waiting: i64,
    /// Of those that wait, how many have been tried.
    pub outbox_failing: i64,
    pub outbox_oldest: Option<StoredTime>,
    pub outbox_last_error: Option<String>,
}

/// One statement; `now` is the caller's clock, messages past their expiry do not count.
pub async fn read(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<Diagnosis> {
    sqlx::query_as!(
        Diagnosis,
        r#"
        select current_setting('server_version') as "server_version!",
               clock_timestamp() as "server_time!: StoredTime",
               count(o.id) as "outbox_waiting!",
               count(o.id) filter (where o.last_error is not null) as "outbox_failing!",
               min(o.created_at) as "outbox_oldest: StoredTime",
               (array_agg(o.last_error order by o.next_attempt_at desc)
                   filter (where o.last_error is not null))[1] as outbox_last_error
          from (select 1) as one
          left join auth.keywright_outbox o on o.expires_at > $1
        "#,
        now,
    )
    .fetch_one(db)
    .await
}
