//! `auth.keywright_tickets`, and the ticket column that the reference fills.

use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::ids::UserId;

/// Stores a ticket; an older one of the same user and purpose is void from now on.
pub async fn put(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    purpose: &str,
    ticket_hash: &[u8; 32],
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into auth.keywright_tickets (ticket_hash, user_id, purpose, created_at, expires_at)
        values ($1, $2, $3, $4, $5)
        on conflict on constraint keywright_tickets_user_id_purpose_key
        do update set ticket_hash = excluded.ticket_hash, created_at = excluded.created_at,
                      tries = 0, expires_at = excluded.expires_at
        "#,
        ticket_hash.as_slice(),
        user_id.0,
        purpose,
        now,
        expires_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a ticket up; of any number of parallel calls exactly one gets the user.
pub async fn consume(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        delete from auth.keywright_tickets
         where ticket_hash = $1 and purpose = $2 and expires_at > $3
        returning user_id as "user_id: UserId"
        "#,
        ticket_hash.as_slice(),
        purpose,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Counts one try at a ticket and tells whose it is; nothing when its tries are used up.
///
/// For tickets that need a second proof: a wrong one must not use the ticket up at once, and not be
/// repeated without end. The count holds for all nodes.
pub async fn try_once(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    max_tries: i16,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        update auth.keywright_tickets
           set tries = tries + 1
         where ticket_hash = $1 and purpose = $2 and expires_at > $4 and tries < $3
        returning user_id as "user_id: UserId"
        "#,
        ticket_hash.as_slice(),
        purpose,
        max_tries,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Counts one try at the user's pending ticket of that purpose and gives its hash; nothing when there
/// is none, or its tries are used up. For codes, which are too short to find their user.
pub async fn try_once_by_user(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    purpose: &str,
    max_tries: i16,
    now: OffsetDateTime,
) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar!(
        r#"
        update auth.keywright_tickets
           set tries = tries + 1
         where user_id = $1 and purpose = $2 and expires_at > $4 and tries < $3
        returning ticket_hash
        "#,
        user_id.0,
        purpose,
        max_tries,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Uses up a ticket that the reference implementation issued; `ticket` is its whole text.
pub async fn consume_reference(
    db: impl PgExecutor<'_>,
    ticket: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        update auth.users
           set ticket = null, ticket_expires_at = $2
         where ticket = $1 and ticket_expires_at > $2
        returning id as "id: UserId"
        "#,
        ticket,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Removes tickets that can no longer be used; returns how many there were.
pub async fn delete_expired(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<u64> {
    let deleted = sqlx::query!("delete from auth.keywright_tickets where expires_at <= $1", now)
        .execute(db)
        .await?;
    Ok(deleted.rows_affected())
}
