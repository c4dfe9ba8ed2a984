//! `auth.keywright_counters`: what is counted for all nodes, in sliding windows of two halves.
//!
//! Attempts have one row a key (node 0), which is judged here, by Postgres' clock. Of requests each
//! node writes a row of its own and reads those of the others, so that no node waits for another one's
//! lock; they are judged in memory.

use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

/// Rows that the table may have; past it some go before their time, as entries of a cache do.
const MAX_ROWS: i64 = 1_000_000;

/// Bytes below which the table cannot have as many.
const MAX_ROWS_BYTES: i64 = 64 * 1024 * 1024;

/// A keyed hash.
pub type Key = [u8; 32];

/// Attempts that are to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub key: Key,
    /// Milliseconds of the window.
    pub span: i64,
    pub wanted: i32,
    pub limit: i32,
}

/// What became of them.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Of those wanted.
    pub granted: i32,
    /// Now, with these.
    pub current: i32,
    pub previous: i32,
    pub slot: i64,
    /// Those without an outcome yet, of all nodes.
    pub under_way: i32,
    /// When Postgres judged.
    pub now: OffsetDateTime,
}

/// Counts attempts as far as their limits allow. The keys are in ascending order, each once: all nodes
/// lock in one order.
///
/// What is under way without a word for a minute belongs to a node that is gone. It keeps counting as
/// failed, but nobody waits for it.
pub async fn count(
    db: impl PgExecutor<'_>,
    asked: &[Asked],
    advanced: Duration,
) -> sqlx::Result<Vec<(Key, Counted)>> {
    let keys: Vec<Vec<u8>> = asked.iter().map(|one| one.key.to_vec()).collect();
    let spans: Vec<i64> = asked.iter().map(|one| one.span).collect();
    let wanted: Vec<i32> = asked.iter().map(|one| one.wanted).collect();
    let limits: Vec<i32> = asked.iter().map(|one| one.limit).collect();
    let rows = sqlx::query!(
        r#"
        insert into auth.keywright_counters as c
               (key, node, span, slot, current, previous, under_way, allowed, granted, counted_at,
                expires_at)
        select asked.key, 0, asked.span, at.ms / asked.span, first.granted, 0, first.granted,
               asked.allowed, first.granted, at.now,
               to_timestamp((at.ms / asked.span + 2) * asked.span / 1000.0)
          from unnest($1::bytea[], $2::bigint[], $3::integer[], $4::integer[])
                    as asked (key, span, wanted, allowed),
               lateral (select least(asked.wanted, asked.allowed) as granted) as first,
               (select now, floor(extract(epoch from now) * 1000)::bigint as ms
                  from (select now() + make_interval(secs => $5) as now) as clock) as at
         order by asked.key
        on conflict (key, node) do update
           set (slot, current, previous, under_way, allowed, granted, counted_at, expires_at) = (
               select moved.slot, moved.current + given.granted, moved.previous,
                      moved.under_way + given.granted, excluded.allowed, given.granted,
                      case when given.granted > 0 then excluded.counted_at else c.counted_at end,
                      greatest(c.expires_at, excluded.expires_at)
                 from (select greatest(c.slot, excluded.slot) as slot,
                              case when excluded.slot > c.slot then 0 else c.current end as current,
                              case when excluded.slot <= c.slot then c.previous
                                   when excluded.slot = c.slot + 1 then c.current
                                   else 0 end as previous,
                              case when c.counted_at < excluded.counted_at - interval '1 minute'
                                   then 0 else c.under_way end as under_way,
                              case when excluded.slot < c.slot then c.span
                                   else (excluded.slot + 1) * c.span
                                        - floor(extract(epoch from excluded.counted_at) * 1000)::bigint
                                   end as rest) as moved,
                      lateral (select greatest(0, least(
                                   excluded.granted,
                                   excluded.allowed - moved.current
                                   - (least(moved.previous, excluded.allowed) * moved.rest
                                      / c.span)::integer
                               )) as granted) as given
           )
        returning key, granted, current, previous, slot, under_way,
                  now() + make_interval(secs => $5) as "now!"
        "#,
        &keys,
        &spans,
        &wanted,
        &limits,
        advanced.as_seconds_f64(),
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let counted = Counted {
                granted: row.granted,
                current: row.current,
                previous: row.previous,
                slot: row.slot,
                under_way: row.under_way,
                now: row.now,
            };
            Ok((key_of(row.key)?, counted))
        })
        .collect()
}

/// What became of attempts of one key since the last word about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub key: Key,
    /// How many have ended.
    pub ended: i32,
    /// One of them succeeded: the count starts from zero, but for what is under way.
    pub succeeded: bool,
    /// Failures after that.
    pub failed_since: i32,
    /// Those that did not happen, and the window in which they were counted.
    pub withdrawn: i32,
    pub slot: i64,
}

/// Notes outcomes, each key once; tells how many are still under way of each.
pub async fn settle(db: impl PgExecutor<'_>, outcomes: &[Outcome]) -> sqlx::Result<Vec<i32>> {
    let keys: Vec<Vec<u8>> = outcomes.iter().map(|one| one.key.to_vec()).collect();
    let ended: Vec<i32> = outcomes.iter().map(|one| one.ended).collect();
    let succeeded: Vec<bool> = outcomes.iter().map(|one| one.succeeded).collect();
    let failed: Vec<i32> = outcomes.iter().map(|one| one.failed_since).collect();
    let withdrawn: Vec<i32> = outcomes.iter().map(|one| one.withdrawn).collect();
    let slots: Vec<i64> = outcomes.iter().map(|one| one.slot).collect();
    sqlx::query_scalar!(
        r#"
        with locked as materialized (
            select c.key
              from auth.keywright_counters c
             where c.key = any($1) and c.node = 0
             order by c.key
               for update
        )
        update auth.keywright_counters c
           set under_way = greatest(c.under_way - told.ended, 0),
               current = case when told.succeeded
                              then greatest(c.under_way - told.ended, 0) + told.failed_since
                              when told.slot = c.slot
                                   or told.slot = c.slot - 1 and c.previous < told.withdrawn
                              then greatest(c.current - told.withdrawn, 0)
                              else c.current end,
               previous = case when told.succeeded then 0
                               when told.slot = c.slot - 1 and c.previous >= told.withdrawn
                               then c.previous - told.withdrawn
                               else c.previous end
          from unnest($1::bytea[], $2::integer[], $3::boolean[], $4::integer[], $5::integer[],
                      $6::bigint[])
                    as told (key, ended, succeeded, failed_since, withdrawn, slot)
          join locked using (key)
         where c.key = told.key and c.node = 0
        returning c.under_way
        "#,
        &keys,
        &ended,
        &succeeded,
        &failed,
        &withdrawn,
        &slots,
    )
    .fetch_all(db)
    .await
}

/// What one node counted, or the others together, in the window `slot` and the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halves {
    pub key: Key,
    /// Milliseconds of a window.
    pub span: i64,
    pub slot: i64,
    pub current: i64,
    pub previous: i64,
}

/// Writes what this node has counted of requests, and reads what the others have.
pub async fn exchange(
    db: impl PgExecutor<'_>,
    node: i64,
    own: &[Halves],
) -> sqlx::Result<Vec<Halves>> {
    let keys: Vec<Vec<u8>> = own.iter().map(|one| one.key.to_vec()).collect();
    let spans: Vec<i64> = own.iter().map(|one| one.span).collect();
    let slots: Vec<i64> = own.iter().map(|one| one.slot).collect();
    let current: Vec<i64> = own.iter().map(|one| one.current).collect();
    let previous: Vec<i64> = own.iter().map(|one| one.previous).collect();
    let rows = sqlx::query!(
        r#"
        with told as (
            insert into auth.keywright_counters as c
                   (key, node, span, slot, current, previous, counted_at, expires_at)
            select own.key, $2, own.span, own.slot, own.current, own.previous, now(),
                   to_timestamp((own.slot + 2) * own.span / 1000.0)
              from unnest($1::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
                        as own (key, span, slot, current, previous)
            on conflict (key, node) do update
               set slot = excluded.slot,
                   current = excluded.current,
                   previous = excluded.previous,
                   counted_at = excluded.counted_at,
                   expires_at = excluded.expires_at
        )
        select key, span, slot, sum(current)::bigint as "current!", sum(previous)::bigint as "previous!"
          from auth.keywright_counters
         where key = any($1) and node <> $2
         group by key, span, slot
        "#,
        &keys,
        node,
        &spans,
        &slots,
        &current,
        &previous,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let (span, slot, current, previous) = (row.span, row.slot, row.current, row.previous);
            Ok(Halves { key: key_of(row.key)?, span, slot, current, previous })
        })
        .collect()
}

fn key_of(stored: Vec<u8>) -> sqlx::Result<Key> {
    stored.try_into().map_err(|_other| sqlx::Error::Decode("a key has 32 bytes".into()))
}

/// Removes at most `limit` rows whose windows are over, and as many others while there are too many;
/// returns how many there were.
pub async fn delete_expired(
    db: impl PgExecutor<'_>,
    advanced: Duration,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        with expired as (
            select key, node from auth.keywright_counters
             where expires_at <= now() + make_interval(secs => $1)
             limit $2
               for update skip locked
        ), flood as (
            select key, node from auth.keywright_counters
             where pg_relation_size('auth.keywright_counters') > $3
               and exists (select from auth.keywright_counters offset $4 limit 1)
             limit $2
               for update skip locked
        )
        delete from auth.keywright_counters
         where (key, node) in (select key, node from expired union select key, node from flood)
        "#,
        advanced.as_seconds_f64(),
        limit,
        MAX_ROWS_BYTES,
        MAX_ROWS,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}
