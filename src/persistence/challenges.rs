//! `auth.keywright_challenges`: pending passkey ceremonies, provider sign-ins and codes.

use std::sync::Arc;

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::challenge::{Challenge, Family, Purpose};
use crate::domain::ids::UserId;

/// A flow that begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewChallenge {
    pub challenge: Challenge,
    pub purpose: Purpose,
    /// Whose it is, where that is known when it begins.
    pub user_id: Option<UserId>,
    /// The client network that began it, hashed; a flow of one with many makes room for others.
    pub network: Option<Vec<u8>>,
    /// What finishing it needs, as JSON.
    pub data: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// A ceremony that was begun and is used up now.
#[derive(Clone, Debug)]
pub struct TakenChallenge {
    pub user_id: Option<UserId>,
    pub data: String,
}

/// Stores ceremonies, all in one statement; one that is there already stays as it is.
pub async fn insert(db: impl PgExecutor<'_>, new: &[Arc<NewChallenge>]) -> sqlx::Result<()> {
    let challenges: Vec<Vec<u8>> = new.iter().map(|new| new.challenge.0.to_vec()).collect();
    let purposes: Vec<String> = new.iter().map(|new| new.purpose.name().to_owned()).collect();
    let users: Vec<Option<Uuid>> = new.iter().map(|new| new.user_id.map(|id| id.0)).collect();
    let networks: Vec<Option<Vec<u8>>> = new.iter().map(|new| new.network.clone()).collect();
    let data: Vec<String> = new.iter().map(|new| new.data.clone()).collect();
    let created: Vec<OffsetDateTime> = new.iter().map(|new| new.created_at).collect();
    let expires: Vec<OffsetDateTime> = new.iter().map(|new| new.expires_at).collect();
    sqlx::query!(
        r#"
        insert into auth.keywright_challenges
               (challenge, purpose, user_id, network, data, created_at, expires_at)
        select * from unnest(
            $1::bytea[], $2::text[], $3::uuid[], $4::bytea[], $5::text[],
            $6::timestamptz[], $7::timestamptz[]
        )
        on conflict (challenge) do nothing
        "#,
        &challenges,
        &purposes,
        &users as &[Option<Uuid>],
        &networks as &[Option<Vec<u8>>],
        &data,
        &created,
        &expires,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses a ceremony up; of any number of calls on any number of nodes exactly one gets it.
///
/// With a `user_id`, only that user's. What was begun before the user's credentials changed is good
/// for nothing, also if it was stored after that.
pub async fn take(
    db: impl PgExecutor<'_>,
    challenge: Challenge,
    purpose: Purpose,
    user_id: Option<UserId>,
    now: OffsetDateTime,
) -> sqlx::Result<Option<TakenChallenge>> {
    sqlx::query_as!(
        TakenChallenge,
        r#"
        delete from auth.keywright_challenges f
         where challenge = $1 and purpose = $2 and ($3::uuid is null or user_id = $3)
           and expires_at > $4
           and not exists (
               select from auth.keywright_credentials c
                where c.user_id = f.user_id and c.changed_at > f.created_at
           )
        returning user_id as "user_id: UserId", data
        "#,
        challenge.0.as_slice(),
        purpose.name(),
        user_id.map(|id| id.0),
        now,
    )
    .fetch_optional(db)
    .await
}

/// Ends a user's flows of these purposes.
pub async fn delete_of_user(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    purposes: &[Purpose],
) -> sqlx::Result<()> {
    let purposes: Vec<String> = purposes.iter().map(|purpose| purpose.name().to_owned()).collect();
    sqlx::query!(
        "delete from auth.keywright_challenges where user_id = $1 and purpose = any ($2)",
        user_id.0,
        &purposes,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Leaves each of these users the newest `max` ceremonies of a purpose.
pub async fn keep_newest_of_users(
    db: impl PgExecutor<'_>,
    users: &[Uuid],
    max: i64,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        r#"
        delete from auth.keywright_challenges
         where challenge in (
            select challenge
              from (
                select challenge,
                       row_number() over (
                           partition by user_id, purpose order by created_at desc, challenge
                       ) as n
                  from auth.keywright_challenges
                 where user_id = any ($1)
              ) ranked
             where n > $2
         )
        "#,
        users,
        max,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Removes at most `limit` rows that have expired; returns how many there were.
pub async fn delete_expired(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        delete from auth.keywright_challenges
         where challenge in (
            select challenge from auth.keywright_challenges
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

/// Removes what a family has beyond `max`; tells how many are left and how many had to go.
///
/// The user or client network with the most gives up its oldest, then whoever has the most now: a
/// crowd of one network makes no room at the cost of others.
pub async fn keep_newest(
    db: &mut PgConnection,
    family: Family,
    max: i64,
) -> sqlx::Result<(i64, u64)> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from auth.keywright_challenges where purpose = any ($1)"#,
        &family.purpose_names(),
    )
    .fetch_one(&mut *db)
    .await?;
    if count <= max {
        return Ok((count, 0));
    }
    let evicted = sqlx::query!(
        r#"
        delete from auth.keywright_challenges
         where challenge in (
            select challenge
              from auth.keywright_challenges
             where challenge in (
                select challenge
                  from (
                    select challenge, created_at,
                           row_number() over (
                               partition by user_id, network order by created_at desc, challenge
                           ) as n
                      from auth.keywright_challenges
                     where purpose = any ($2)
                  ) ranked
                 order by n desc, created_at
                 limit $1
             )
               for update skip locked
         )
        "#,
        count - max,
        &family.purpose_names(),
    )
    .execute(db)
    .await?
    .rows_affected();
    Ok((max, evicted))
}
