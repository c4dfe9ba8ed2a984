//! `auth.keywright_signing_keys`: keys of access tokens, whose private half is sealed.
//!
//! Nodes and operators may all try the same step at the same time; the conditions are in the
//! statements, so that one of them does it. Their time is Postgres', `advanced` by tests.

use std::time::Duration;

use sqlx::PgExecutor;

use super::measured_pool::MeasuredPool;
use super::stored_time::StoredTime;
use crate::domain::signing_key::{KeyState, Rotation, SigningKey};

/// A key as it is stored.
#[derive(Clone, Debug)]
pub struct SealedKey {
    pub key: SigningKey,
    /// Sealed text; none of a key that is over.
    pub private_key: Option<String>,
    /// Until when tokens of the configured key are good, if a stored one took over from it.
    pub configured_until: Option<StoredTime>,
}

struct Row {
    kid: String,
    algorithm: String,
    state: String,
    private_key: Option<String>,
    created_at: StoredTime,
    ready_at: StoredTime,
    signs_at: Option<StoredTime>,
    activated_at: Option<StoredTime>,
    accepted_until: Option<StoredTime>,
    configured_until: Option<StoredTime>,
}

impl Row {
    fn into_key(self) -> Option<SealedKey> {
        Some(SealedKey {
            key: SigningKey {
                state: KeyState::parse(&self.state)?,
                kid: self.kid,
                algorithm: self.algorithm,
                created_at: self.created_at.0,
                ready_at: self.ready_at.0,
                signs_at: self.signs_at.map(|at| at.0),
                activated_at: self.activated_at.map(|at| at.0),
                accepted_until: self.accepted_until.map(|at| at.0),
            },
            private_key: self.private_key,
            configured_until: self.configured_until,
        })
    }
}

/// The newest keys first; those that are over, too, if `all`.
pub async fn list(db: impl PgExecutor<'_>, all: bool) -> sqlx::Result<Vec<SealedKey>> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        select kid, algorithm, state, private_key,
               created_at as "created_at: StoredTime", ready_at as "ready_at: StoredTime",
               signs_at as "signs_at: StoredTime", activated_at as "activated_at: StoredTime",
               accepted_until as "accepted_until: StoredTime",
               (select min(configured_until) from auth.keywright_signing_keys)
                   as "configured_until: StoredTime"
          from auth.keywright_signing_keys
         where $1 or private_key is not null
         order by created_at desc, kid
         limit 100
        "#,
        all,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_key).collect())
}

/// A key to be added.
pub struct NewKey<'a> {
    pub kid: &'a str,
    pub algorithm: &'a str,
    /// Sealed.
    pub private_key: &'a str,
    /// How long it is published before it may sign.
    pub publish_ahead: Duration,
    /// Whether it signs by itself from then on.
    pub signs_by_itself: bool,
    pub advanced: time::Duration,
}

/// Adds a next key and returns from when on it may sign; `None` if there is one already.
pub async fn insert_next(
    db: impl PgExecutor<'_>,
    new: &NewKey<'_>,
) -> sqlx::Result<Option<StoredTime>> {
    sqlx::query_scalar!(
        r#"
        insert into auth.keywright_signing_keys
               (kid, algorithm, state, private_key, created_at, ready_at, signs_at)
        select $1, $2, 'next', $3, t.now, t.now + make_interval(secs => $4),
               case when $5 then t.now + make_interval(secs => $4) end
          from (select now() + make_interval(secs => $6)) as t (now)
        on conflict do nothing
        returning ready_at as "ready_at: StoredTime"
        "#,
        new.kid,
        new.algorithm,
        new.private_key,
        new.publish_ahead.as_secs_f64(),
        new.signs_by_itself,
        new.advanced.as_seconds_f64(),
    )
    .fetch_optional(db)
    .await
}

/// The next key becomes the current one, whose predecessor is accepted for so long; tells whether it
/// did.
///
/// Not if the keys are others meanwhile, and not before the next key is ready unless `early`.
pub async fn rotate(
    pool: &MeasuredPool,
    rotation: &Rotation,
    accepted_for: Duration,
    early: bool,
    advanced: time::Duration,
) -> sqlx::Result<bool> {
    let mut transaction = pool.begin().await?;
    if let Some(current) = &rotation.current {
        let retired = sqlx::query!(
            r#"
            update auth.keywright_signing_keys
               set state = 'retired', retired_at = t.now,
                   accepted_until = t.now + make_interval(secs => $2)
              from (select now() + make_interval(secs => $3)) as t (now)
             where kid = $1 and state = 'current'
            "#,
            current,
            accepted_for.as_secs_f64(),
            advanced.as_seconds_f64(),
        )
        .execute(&mut *transaction)
        .await?;
        if retired.rows_affected() == 0 {
            return Ok(false);
        }
    }
    // Another current key, where none was expected, is in the way of this one by a unique index.
    let activated = sqlx::query!(
        r#"
        update auth.keywright_signing_keys
           set state = 'current', activated_at = t.now, signs_at = null,
               configured_until = case when $4 then t.now + make_interval(secs => $5) end
          from (select now() + make_interval(secs => $3)) as t (now)
         where kid = $1 and state = 'next' and (ready_at <= t.now or $2)
           and not exists (
               select from auth.keywright_signing_keys as other where other.state = 'current'
           )
        "#,
        rotation.next,
        early,
        advanced.as_seconds_f64(),
        rotation.current.is_none(),
        accepted_for.as_secs_f64(),
    )
    .execute(&mut *transaction)
    .await?;
    if activated.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// Ends a next or a previous key at once and erases its private half; tells whether there was one.
/// The current key stays.
pub async fn retire(
    db: impl PgExecutor<'_>,
    kid: &str,
    advanced: time::Duration,
) -> sqlx::Result<bool> {
    let retired = sqlx::query!(
        r#"
        update auth.keywright_signing_keys
           set state = 'retired', retired_at = coalesce(retired_at, t.now),
               accepted_until = least(accepted_until, t.now), signs_at = null, private_key = null
          from (select now() + make_interval(secs => $2)) as t (now)
         where kid = $1 and state <> 'current' and private_key is not null
        "#,
        kid,
        advanced.as_seconds_f64(),
    )
    .execute(db)
    .await?;
    Ok(retired.rows_affected() > 0)
}

/// Erases the private half of a key whose tokens are accepted no more.
pub async fn erase(
    db: impl PgExecutor<'_>,
    kid: &str,
    advanced: time::Duration,
) -> sqlx::Result<bool> {
    let erased = sqlx::query!(
        r#"
        update auth.keywright_signing_keys
           set private_key = null
         where kid = $1 and state = 'retired' and private_key is not null
           and accepted_until <= now() + make_interval(secs => $2)
        "#,
        kid,
        advanced.as_seconds_f64(),
    )
    .execute(db)
    .await?;
    Ok(erased.rows_affected() > 0)
}
