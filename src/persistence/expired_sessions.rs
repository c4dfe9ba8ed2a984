//! `auth.refresh_tokens`: sessions and personal access tokens that ended long ago.
//!
//! When a session ended is told by its row alone, so that a refresh that comes in between decides:
//! every statement here looks at the row as it is, and leaves out what somebody holds. Time is
//! Postgres', as in all that decides about sessions.

use sqlx::PgExecutor;
use time::Duration;

use super::table_walk::{Found, Span};

/// How long rows are kept after they ended.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub sessions: Duration,
    pub personal_access_tokens: Duration,
    /// [`Clock::advanced`](crate::domain::clock::Clock::advanced).
    pub advanced: Duration,
}

/// Rows that ended longer ago than they are kept, in the order of their places.
pub async fn find(db: impl PgExecutor<'_>, span: Span, kept: Kept) -> sqlx::Result<Vec<Found>> {
    let rows = sqlx::query!(
        r#"
        select ctid::text as "place!", id
          from auth.refresh_tokens
         where ctid > $1::text::tid and ctid < $2::text::tid
           and (type = 'regular' and expires_at <= now() + make_interval(secs => $3)
                or type = 'pat' and expires_at <= now() + make_interval(secs => $4))
         limit $5
        "#,
        span.after.to_string(),
        span.before.to_string(),
        kept.advanced.saturating_sub(kept.sessions).as_seconds_f64(),
        kept.advanced.saturating_sub(kept.personal_access_tokens).as_seconds_f64(),
        span.limit,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Found::new(&row.place, row.id)).collect()
}

/// Removes those of these rows that have still ended and that nobody holds; returns how many.
///
/// Removing a personal access token ends its sessions. They ended with it, unless somebody has
/// changed its end by hand: then it stays as long as they do. They are looked up by a range, because
/// for an equality the planner also considers to read all sessions once. The commit does not wait for
/// the disk: what a crash brings back is removed again.
pub async fn delete(db: impl PgExecutor<'_>, rows: &[Found], kept: Kept) -> sqlx::Result<u64> {
    let places: Vec<String> = rows.iter().map(|row| row.place.to_string()).collect();
    let removed = sqlx::query_scalar!(
        r#"
        with commit as materialized (
            select set_config('synchronous_commit', 'off', true) as how
        ), gone as (
            delete from auth.refresh_tokens
             where ctid = any (array(
                select t.ctid
                  from auth.refresh_tokens t
                 where t.ctid = any ($1::text[]::tid[])
                   and (t.type = 'regular' and t.expires_at <= now() + make_interval(secs => $2)
                        or t.type = 'pat' and t.expires_at <= now() + make_interval(secs => $3)
                           and not exists (
                               select from auth.refresh_tokens s
                                where s.keywright_pat_id >= t.id and s.keywright_pat_id <= t.id
                                  and (s.expires_at > now() + make_interval(secs => $4)) is true
                           ))
                   for update of t skip locked
             ))
            returning 1
        )
        select (select count(*) from gone) as "removed!"
          from commit
        "#,
        &places,
        kept.advanced.saturating_sub(kept.sessions).as_seconds_f64(),
        kept.advanced.saturating_sub(kept.personal_access_tokens).as_seconds_f64(),
        kept.advanced.as_seconds_f64(),
    )
    .fetch_one(db)
    .await?;
    Ok(u64::try_from(removed).unwrap_or(0))
}
