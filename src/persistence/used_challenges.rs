//! `auth.keywright_used_challenges`: signed passkey challenges that were used.

use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::challenge::Challenge;
use crate::domain::ids::UserId;

/// Uses a challenge up; of any number of calls on any number of nodes exactly one gets `true`.
///
/// Nobody does once the user's credentials have changed after `unchanged_since`.
pub async fn insert(
    db: impl PgExecutor<'_>,
    challenge: Challenge,
    expires_at: OffsetDateTime,
    user_id: UserId,
    unchanged_since: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        insert into auth.keywright_used_challenges (challenge, expires_at)
        select $1, $2
         where not exists (
            select from auth.keywright_credentials where user_id = $3 and changed_at > $4
         )
        on conflict (challenge) do nothing
        "#,
        challenge.0.as_slice(),
        expires_at,
        user_id.0,
        unchanged_since,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes at most `limit` rows that have expired; returns how many there were.
pub async fn delete_expired(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        delete from auth.keywright_used_challenges
         where challenge in (
            select challenge from auth.keywright_used_challenges
             where expires_at <= $1
             limit $2 for update skip locked
         )
        "#,
        now,
        limit,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
