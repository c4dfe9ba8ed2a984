//! `auth.user_security_keys`, and `auth.keywright_security_keys` for what the reference does not keep.

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::stored_time::StoredTime;
use crate::domain::ids::{SecurityKeyId, UserId};
use crate::domain::security_key::{KeyUse, ListedKey, NewSecurityKey};

/// How many keys a user owns.
pub async fn count(db: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from auth.user_security_keys where user_id = $1"#,
        user_id.0,
    )
    .fetch_one(db)
    .await
}

/// A key as a ceremony needs it.
#[derive(Debug)]
pub struct StoredKey {
    pub id: SecurityKeyId,
    pub user_id: UserId,
    /// Raw COSE key, as in the authenticator data.
    pub public_key: Option<Vec<u8>>,
    /// 0 for authenticators that do not count, and for keys of the reference until their next use.
    pub sign_count: i64,
}

/// The key with this credential id (base64url without padding).
pub async fn find_by_credential_id(
    db: impl PgExecutor<'_>,
    credential_id: &str,
) -> sqlx::Result<Option<StoredKey>> {
    sqlx::query_as!(
        StoredKey,
        r#"
        select k.id as "id: SecurityKeyId", k.user_id as "user_id: UserId",
               k.credential_public_key as public_key,
               greatest(k.counter, coalesce(s.sign_count, 0)) as "sign_count!"
          from auth.user_security_keys k
          left join auth.keywright_security_keys s on s.security_key_id = k.id
         where k.credential_id = $1
        "#,
        credential_id,
    )
    .fetch_optional(db)
    .await
}

/// The credential ids of a user, oldest first as far as that is known.
pub async fn credential_ids(db: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select k.credential_id
          from auth.user_security_keys k
          left join auth.keywright_security_keys s on s.security_key_id = k.id
         where k.user_id = $1
         order by s.created_at nulls first, k.id
        "#,
        user_id.0,
    )
    .fetch_all(db)
    .await
}

/// Stores a key; `counter` and `transports` of the reference's table stay as it leaves them.
pub async fn insert(
    db: &mut PgConnection,
    user_id: UserId,
    key: &NewSecurityKey,
    nickname: Option<&str>,
    now: OffsetDateTime,
) -> sqlx::Result<SecurityKeyId> {
    let id = sqlx::query_scalar!(
        r#"
        insert into auth.user_security_keys
               (user_id, credential_id, credential_public_key, nickname)
        values ($1, $2, $3, $4)
        returning id as "id: SecurityKeyId"
        "#,
        user_id.0,
        key.credential_id,
        key.public_key,
        nickname,
    )
    .fetch_one(&mut *db)
    .await?;
    sqlx::query!(
        r#"
        insert into auth.keywright_security_keys
               (security_key_id, sign_count, transports, backup_eligible, backed_up, created_at,
                user_verified)
        values ($1, $2, $3, $4, $5, $6, $7)
        "#,
        id.0,
        i64::from(key.sign_count),
        &key.transports,
        key.backup_eligible,
        key.backed_up,
        now,
        key.user_verified,
    )
    .execute(db)
    .await?;
    Ok(id)
}

/// Records a use; `false` if the counter did not advance (WebAuthn 7.2 step 22), which is decided here
/// so that of two uses of one counter on two nodes one is refused.
pub async fn record_use(
    db: impl PgExecutor<'_>,
    id: SecurityKeyId,
    key_use: KeyUse,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        insert into auth.keywright_security_keys as s
               (security_key_id, sign_count, backup_eligible, backed_up, last_used_at,
                user_verified)
        select k.id, $2, $3, $4, $5, $6
          from auth.user_security_keys k
         where k.id = $1 and ($2 > k.counter or ($2 = 0 and k.counter = 0))
        on conflict (security_key_id) do update
           set sign_count = excluded.sign_count, backup_eligible = excluded.backup_eligible,
               backed_up = excluded.backed_up, last_used_at = excluded.last_used_at,
               user_verified = excluded.user_verified
         where excluded.sign_count > s.sign_count
            or (excluded.sign_count = 0 and s.sign_count = 0)
        "#,
        id.0,
        i64::from(key_use.sign_count),
        key_use.backup_eligible,
        key_use.backed_up,
        now,
        key_use.user_verified,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A user's keys, oldest first as far as that is known.
pub async fn list(db: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<Vec<ListedKey>> {
    let rows = sqlx::query!(
        r#"
        select k.id as "id: SecurityKeyId", k.credential_id, k.nickname,
               coalesce(s.transports, string_to_array(nullif(k.transports, ''), ','), '{}')
                   as "transports!",
               s.backed_up as "backed_up?", s.created_at as "created_at?: StoredTime",
               s.last_used_at as "last_used_at?: StoredTime"
          from auth.user_security_keys k
          left join auth.keywright_security_keys s on s.security_key_id = k.id
         where k.user_id = $1
         order by s.created_at nulls first, k.id
        "#,
        user_id.0,
    )
    .fetch_all(db)
    .await?;
    let keys = rows.into_iter().map(|row| ListedKey {
        id: row.id,
        credential_id: row.credential_id,
        nickname: row.nickname,
        transports: row.transports,
        backed_up: row.backed_up,
        created_at: row.created_at.map(OffsetDateTime::from),
        last_used_at: row.last_used_at.map(OffsetDateTime::from),
    });
    Ok(keys.collect())
}

/// Gives a key of this user another name; `false` if there is no such key.
pub async fn rename(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    id: Uuid,
    nickname: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update auth.user_security_keys set nickname = $3 where id = $2 and user_id = $1",
        user_id.0,
        id,
        nickname,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a user can sign in with besides security keys.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one a column")]
pub struct OtherWays {
    pub has_password: bool,
    pub has_email: bool,
    pub has_phone: bool,
    pub has_provider: bool,
}

/// Reads the other ways to sign in and keeps them, and the number of keys, from changing until the
/// transaction ends: whoever deletes a key locks the user first.
pub async fn lock_other_ways(
    db: impl PgExecutor<'_>,
    user_id: UserId,
) -> sqlx::Result<Option<OtherWays>> {
    sqlx::query_as!(
        OtherWays,
        r#"
        select coalesce(u.password_hash, '') <> '' as "has_password!",
               u.email is not null as "has_email!",
               u.phone_number is not null and u.phone_number_verified as "has_phone!",
               exists (select from auth.user_providers p where p.user_id = u.id) as "has_provider!"
          from auth.users u
         where u.id = $1
           for no key update
        "#,
        user_id.0,
    )
    .fetch_optional(db)
    .await
}

/// Takes all keys from a user, but for one.
pub async fn delete_all_but(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    kept: Option<SecurityKeyId>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from auth.user_security_keys where user_id = $1 and id is distinct from $2",
        user_id.0,
        kept.map(|id| id.0),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes a key of this user; `false` if there is no such key.
pub async fn delete(db: impl PgExecutor<'_>, user_id: UserId, id: Uuid) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "delete from auth.user_security_keys where id = $2 and user_id = $1",
        user_id.0,
        id,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
