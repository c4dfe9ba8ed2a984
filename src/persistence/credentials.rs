//! `auth.keywright_credentials`: since when what a user was issued counts for writing.

use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use super::stored_time::StoredTime;
use crate::domain::ids::UserId;

/// From now on, what is older does not count. The time is Postgres', as for sessions.
pub async fn set_changed(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    advanced: Duration,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into auth.keywright_credentials as c (user_id, changed_at)
        values ($1, clock_timestamp() + make_interval(secs => $2))
        on conflict (user_id)
        do update set changed_at = greatest(c.changed_at, excluded.changed_at)
        "#,
        user_id.0,
        advanced.as_seconds_f64(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// When what is older last ceased to count; `None` if it never did.
pub async fn changed_at(
    db: impl PgExecutor<'_>,
    user_id: UserId,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let changed = sqlx::query_scalar!(
        r#"
        select changed_at as "changed_at: StoredTime"
          from auth.keywright_credentials where user_id = $1
        "#,
        user_id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(changed.map(OffsetDateTime::from))
}

/// Whether a token that was issued at that Unix time is from before the last change.
///
/// Tokens tell whole seconds, so one of the second of the change still counts: a client that signs
/// in again at once must not be refused.
pub async fn is_changed_since(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    issued_at: Option<i64>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from auth.keywright_credentials
             where user_id = $1
               and ($2::bigint is null or floor(extract(epoch from changed_at)) > $2)
        ) as "changed!"
        "#,
        user_id.0,
        issued_at,
    )
    .fetch_one(db)
    .await
}
