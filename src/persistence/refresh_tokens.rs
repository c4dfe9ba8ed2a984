//! `auth.refresh_tokens`: sessions of users.
//!
//! Every statement that decides about a token carries its conditions itself, so that nodes and the
//! reference implementation may race on one row and exactly one of them wins. The time is Postgres', so
//! that a node whose clock is wrong ends nobody's session; `advanced` is [`Clock::advanced`].
//!
//! [`Clock::advanced`]: crate::domain::clock::Clock::advanced

use sqlx::PgExecutor;
use sqlx::error::DatabaseError;
use time::Duration;

use super::stored_time::StoredTime;
use crate::domain::ids::{SecurityKeyId, SessionId, UserId};
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// The live sessions among these hashes.
///
/// As in all statements of batches here, a hash is found between itself and itself: for an equality
/// the planner also considers to walk through the whole index and look each row up in the batch, and
/// where the table was empty or small when the plan was made it takes that and keeps it. A range
/// leaves it no choice but to begin with the batch, if nothing else can be looked up in an index:
/// `is true` takes the expiry out, which is the second column of this one.
pub async fn find_live(
    db: impl PgExecutor<'_>,
    hashes: &[TokenHash],
    advanced: Duration,
) -> sqlx::Result<Vec<(TokenHash, SessionRef)>> {
    let stored = stored(hashes.iter());
    let rows = sqlx::query!(
        r#"
        select h.n as "n!", t.id as "session_id: SessionId", t.user_id as "user_id: UserId"
          from unnest($1::text[]) with ordinality as h (hash, n)
          join auth.refresh_tokens t
            on t.refresh_token_hash >= h.hash and t.refresh_token_hash <= h.hash
         where t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $2)) is true
        "#,
        &stored,
        advanced.as_seconds_f64(),
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let session = SessionRef { session_id: row.session_id, user_id: row.user_id };
            (hashes[position(row.n)], session)
        })
        .collect())
}

/// Replaces presented hashes by the next ones; returns the places in `rotations` of those
/// that were current, in ascending order.
///
/// Keys must be distinct. The conditions are in the `update`, so a token is traded once however
/// many nodes try; `expires_at` slides as in the reference. The result is one row, because reading
/// a row costs this side as much as a small request.
pub async fn rotate(
    db: impl PgExecutor<'_>,
    rotations: &[Rotation],
    advanced: Duration,
    lifetime: std::time::Duration,
) -> sqlx::Result<Vec<usize>> {
    let (presented, next) = stored_pairs(rotations);
    let mut places = sqlx::query_scalar!(
        r#"
        with rotated as (
            update auth.refresh_tokens t
               set refresh_token_hash = r.next,
                   expires_at = least(now() + make_interval(secs => $4), t.keywright_until),
                   keywright_rotated_at = now() + make_interval(secs => $3)
              from unnest($1::text[], $2::text[]) with ordinality as r (presented, next, n)
             where t.refresh_token_hash >= r.presented and t.refresh_token_hash <= r.presented
               and t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $3)) is true
            returning r.n
        )
        select coalesce(array_agg(n), '{}') as "places!" from rotated
        "#,
        &pieces(&presented) as &[&str],
        &pieces(&next) as &[&str],
        advanced.as_seconds_f64(),
        (advanced + lifetime).as_seconds_f64(),
    )
    .fetch_one(db)
    .await?;
    places.sort_unstable();
    Ok(places.into_iter().map(position).collect())
}

/// What came of rotations that wait for nobody; places in ascending order.
#[derive(Debug)]
pub struct FreeRotations {
    /// Those that were current and are traded.
    pub rotated: Vec<usize>,
    /// Those whose row somebody else holds.
    pub held: Vec<usize>,
}

/// As [`rotate`], but rows that another transaction holds are left out.
///
/// Dearer, since rows are locked before they are written; for times in which a row is held. The rows
/// are written where they were locked: their ids lead to all their former versions too, none of which
/// can go while the transaction that holds a row is open.
pub async fn rotate_free(
    db: impl PgExecutor<'_>,
    rotations: &[Rotation],
    advanced: Duration,
    lifetime: std::time::Duration,
) -> sqlx::Result<FreeRotations> {
    let (presented, next) = stored_pairs(rotations);
    let row = sqlx::query!(
        r#"
        with batch as materialized (
            select r.* from unnest($1::text[], $2::text[]) with ordinality as r (presented, next, n)
        ), free as materialized (
            select r.*, t.ctid as place
              from batch r
              join auth.refresh_tokens t
                on t.refresh_token_hash >= r.presented and t.refresh_token_hash <= r.presented
             where t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $3)) is true
               for no key update of t skip locked
        ), rotated as (
            update auth.refresh_tokens t
               set refresh_token_hash = f.next,
                   expires_at = least(now() + make_interval(secs => $4), t.keywright_until),
                   keywright_rotated_at = now() + make_interval(secs => $3)
              from free f
             where t.ctid = f.place
            returning f.n
        )
        select array(select n from rotated order by n) as "rotated!",
               array(
                   select r.n
                     from (
                         select presented, n from batch except select presented, n from free
                     ) r
                     join auth.refresh_tokens t
                       on t.refresh_token_hash >= r.presented and t.refresh_token_hash <= r.presented
                    where t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $3)) is true
                    order by r.n
               ) as "held!"
        "#,
        &pieces(&presented) as &[&str],
        &pieces(&next) as &[&str],
        advanced.as_seconds_f64(),
        (advanced + lifetime).as_seconds_f64(),
    )
    .fetch_one(db)
    .await?;
    Ok(FreeRotations {
        rotated: row.rotated.into_iter().map(position).collect(),
        held: row.held.into_iter().map(position).collect(),
    })
}

/// The stored forms of what is presented and of what is next, each in one text.
pub(super) fn stored_pairs(rotations: &[Rotation]) -> (String, String) {
    let length = rotations.len() * TokenHash::STORED_LEN;
    let (mut presented, mut next) = (String::with_capacity(length), String::with_capacity(length));
    for rotation in rotations {
        rotation.presented.push_stored(&mut presented);
        rotation.next.push_stored(&mut next);
    }
    (presented, next)
}

/// The stored forms in a text of many.
pub(super) fn pieces(stored: &str) -> Vec<&str> {
    let length = TokenHash::STORED_LEN;
    (0..stored.len() / length).map(|n| &stored[n * length..][..length]).collect()
}

/// A row found under a hash of a presented token's chain.
#[derive(Clone, Copy, Debug)]
pub struct ChainMatch {
    pub hash: TokenHash,
    pub session: SessionRef,
    /// `None` if it has had one token only.
    pub since_rotation: Option<Duration>,
}

/// The live row whose hash is among these tokens of a chain, if there is one.
pub async fn find_in_chain(
    db: impl PgExecutor<'_>,
    tokens: &[TokenHash],
    advanced: Duration,
) -> sqlx::Result<Option<ChainMatch>> {
    let stored = stored(tokens.iter());
    let row = sqlx::query!(
        r#"
        select h.n as "n!", t.id as "session_id: SessionId", t.user_id as "user_id: UserId",
               now() + make_interval(secs => $2) as "now!: StoredTime",
               t.keywright_rotated_at as "rotated_at?: StoredTime"
          from unnest($1::text[]) with ordinality as h (hash, n)
          join auth.refresh_tokens t
            on t.refresh_token_hash >= h.hash and t.refresh_token_hash <= h.hash
         where t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $2)) is true
         order by h.n
         limit 1
        "#,
        &stored,
        advanced.as_seconds_f64(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| ChainMatch {
        hash: tokens[position(row.n)],
        session: SessionRef { session_id: row.session_id, user_id: row.user_id },
        since_rotation: row.rotated_at.map(|rotated_at| row.now.0 - rotated_at.0),
    }))
}

/// A session that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// It began with a personal access token.
    pub is_from_pat: bool,
}

/// This session of this user, if it lives; it is kept from ending until the transaction does.
///
/// A refresh goes on meanwhile.
pub async fn lock_live(
    db: impl PgExecutor<'_>,
    id: SessionId,
    user_id: UserId,
    advanced: Duration,
) -> sqlx::Result<Option<LiveSession>> {
    sqlx::query_as!(
        LiveSession,
        r#"
        select keywright_pat_id is not null as "is_from_pat!"
          from auth.refresh_tokens
         where id = $1 and user_id = $2 and type = 'regular'
           and expires_at > now() + make_interval(secs => $3)
           for key share
        "#,
        id.0,
        user_id.0,
        advanced.as_seconds_f64(),
    )
    .fetch_optional(db)
    .await
}

/// The security key that a session came from.
pub async fn security_key(
    db: impl PgExecutor<'_>,
    id: SessionId,
) -> sqlx::Result<Option<SecurityKeyId>> {
    let key = sqlx::query_scalar!(
        r#"select keywright_key_id as "id: SecurityKeyId" from auth.refresh_tokens where id = $1"#,
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(key.flatten())
}

/// Ends the session with this token, of whatever type; tells whether there was one.
pub async fn delete_by_hash(db: impl PgExecutor<'_>, hash: TokenHash) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "delete from auth.refresh_tokens where refresh_token_hash = $1",
        hash.stored(),
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Ends one session; tells whether this call did it.
pub async fn delete_by_id(db: impl PgExecutor<'_>, id: SessionId) -> sqlx::Result<bool> {
    let deleted =
        sqlx::query!("delete from auth.refresh_tokens where id = $1", id.0).execute(db).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Ends the sessions of a user except one, and with `and_pats` personal access tokens as well.
pub async fn delete_others(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    kept: Option<SessionId>,
    and_pats: bool,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        delete from auth.refresh_tokens
         where user_id = $1 and id is distinct from $2 and (type <> 'pat' or $3)
        "#,
        user_id.0,
        kept.map(|id| id.0),
        and_pats,
    )
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

/// Whether somebody held a lock for longer than this statement may wait (55P03), or waited for one of
/// this statement's in turn (40P01).
pub fn is_held_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == "55P03" || code == "40P01")
}

/// The stored forms, in order.
fn stored<'a>(hashes: impl Iterator<Item = &'a TokenHash>) -> Vec<String> {
    hashes.map(TokenHash::stored).collect()
}

/// Index of a 1-based ordinality.
pub(super) fn position(ordinality: i64) -> usize {
    usize::try_from(ordinality - 1).expect("Postgres numbers rows from one")
}
