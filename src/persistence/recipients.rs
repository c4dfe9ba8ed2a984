//! `auth.keywright_recipients`: what was sent to whom lately, counted for all nodes.

use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

/// How much one recipient may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    pub limit: i64,
    /// What was sent longer ago does not count any more.
    pub window: Duration,
    /// If something was sent within this time, it was enough.
    pub once_within: Option<Duration>,
}

/// Counts one more if the allowance has it, and tells when it was counted, by Postgres' clock, to which
/// `advanced` is added.
///
/// The row is locked until the transaction ends, so that of two at once the second one knows of the
/// first.
pub async fn take(
    db: impl PgExecutor<'_>,
    recipient: &[u8; 32],
    advanced: Duration,
    allowance: Allowance,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let Allowance { limit, window, once_within } = allowance;
    sqlx::query_scalar!(
        r#"
        insert into auth.keywright_recipients as r (recipient, sent_at, expires_at)
        select $1, array[at.now], at.now + make_interval(secs => $4)
          from (select now() + make_interval(secs => $2) as now) as at
        on conflict (recipient)
        do update set sent_at = array(select t from unnest(r.sent_at) as t
                                       where t > excluded.sent_at[1] - make_interval(secs => $4))
                                || excluded.sent_at,
                      expires_at = greatest(r.expires_at, excluded.expires_at)
                where (select count(*) from unnest(r.sent_at) as t
                        where t > excluded.sent_at[1] - make_interval(secs => $4)) < $3
                  and ($5::float8 is null
                       or not exists (
                           select from unnest(r.sent_at) as t
                            where t > excluded.sent_at[1] - make_interval(secs => $5)
                       ))
        returning now() + make_interval(secs => $2) as "at!"
        "#,
        recipient.as_slice(),
        advanced.as_seconds_f64(),
        limit,
        window.as_seconds_f64(),
        once_within.map(Duration::as_seconds_f64),
    )
    .fetch_optional(db)
    .await
}

/// Takes back what was counted at that time.
pub async fn give_back(
    db: impl PgExecutor<'_>,
    recipient: &[u8; 32],
    sent_at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update auth.keywright_recipients
           set sent_at = array_remove(sent_at, $2::timestamptz)
         where recipient = $1
        "#,
        recipient.as_slice(),
        sent_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets a recipient.
pub async fn forget(db: impl PgExecutor<'_>, recipient: &[u8; 32]) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from auth.keywright_recipients where recipient = $1",
        recipient.as_slice()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Removes at most `limit` recipients who were sent nothing lately; returns how many there were.
pub async fn delete_expired(
    db: impl PgExecutor<'_>,
    advanced: Duration,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        delete from auth.keywright_recipients
         where recipient in (
            select recipient from auth.keywright_recipients
             where expires_at <= now() + make_interval(secs => $1)
             limit $2 for update skip locked
         )
        "#,
        advanced.as_seconds_f64(),
        limit,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
