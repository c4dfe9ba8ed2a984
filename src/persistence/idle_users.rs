//! `auth.users`: anonymous users who have not come for long and have nothing to come back with.
//!
//! No index leads from a user to the rows in `auth.refresh_tokens`, and one would make each refresh
//! dearer. So it is looked at as a whole, once for many users; and once more by Postgres for each
//! user that goes, because of the foreign key.

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::measured_pool::MeasuredPool;
use super::table_walk::{Found, Span};

/// Anonymous users who came last before `since`, in the order of their places.
pub async fn find(
    db: impl PgExecutor<'_>,
    span: Span,
    since: OffsetDateTime,
) -> sqlx::Result<Vec<Found>> {
    let rows = sqlx::query!(
        r#"
        select ctid::text as "place!", id
          from auth.users
         where ctid > $1::text::tid and ctid < $2::text::tid
           and is_anonymous and greatest(created_at, last_seen) <= $3
         limit $4
        "#,
        span.after.to_string(),
        span.before.to_string(),
        since,
        span.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Found::new(&row.place, row.id)).collect()
}

/// Those of them who have neither a session nor a personal access token.
pub async fn without_tokens(pool: &MeasuredPool, users: Vec<Found>) -> sqlx::Result<Vec<Found>> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let mut transaction = pool.begin().await?;
    plan_for_many(&mut transaction).await?;
    let with = with_tokens(&mut transaction, &ids).await?;
    transaction.commit().await?;
    Ok(users.into_iter().filter(|user| !with.contains(&user.id)).collect())
}

/// Removes those of these users who are still as [`find`] and [`without_tokens`] saw them and whom
/// nobody holds, with all that hangs on them; returns how many.
///
/// They are locked first, and looked at after that: who signs in meanwhile waits for the lock, or
/// was before it and is seen.
pub async fn delete(
    pool: &MeasuredPool,
    users: &[Found],
    since: OffsetDateTime,
) -> sqlx::Result<u64> {
    let ids: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    let mut transaction = pool.begin().await?;
    plan_for_many(&mut transaction).await?;
    let mut locked = sqlx::query_scalar!(
        r#"
        select id
          from auth.users
         where id = any ($1) and is_anonymous and greatest(created_at, last_seen) <= $2
           for update skip locked
        "#,
        &ids,
        since,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let with = with_tokens(&mut transaction, &locked).await?;
    locked.retain(|id| !with.contains(id));
    let deleted = sqlx::query!("delete from auth.users where id = any ($1)", &locked)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(deleted.rows_affected())
}

/// One look through a table for all users, by one process, and a commit that does not wait for the
/// disk; until the transaction ends.
async fn plan_for_many(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        select set_config('enable_nestloop', 'off', true) as nestloop,
               set_config('max_parallel_workers_per_gather', '0', true) as workers,
               set_config('synchronous_commit', 'off', true) as commit
        "#
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

async fn with_tokens(db: &mut PgConnection, users: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        r#"
        select distinct t.user_id
          from auth.refresh_tokens t
          join unnest($1::uuid[]) as u (id) on u.id = t.user_id
        "#,
        users,
    )
    .fetch_all(db)
    .await
}
