//! `auth.users` and `auth.user_roles`.

use serde_json::value::RawValue;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use crate::domain::email::EmailAddress;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::persistence::stored_time::StoredTime;

/// A user with what a password sign-in needs.
#[derive(Debug)]
pub struct UserWithPassword {
    pub user: User,
    pub password_hash: Option<secrecy::SecretString>,
}

/// The columns that every read of a user takes.
#[expect(clippy::struct_excessive_bools, reason = "the columns of the table")]
struct UserRow {
    id: UserId,
    created_at: StoredTime,
    disabled: bool,
    display_name: String,
    avatar_url: String,
    locale: String,
    email: Option<String>,
    email_verified: bool,
    phone_number: Option<String>,
    phone_number_verified: bool,
    default_role: String,
    is_anonymous: bool,
    active_mfa_type: Option<String>,
    metadata: Option<String>,
    password_hash: Option<String>,
    roles: Vec<String>,
}

impl From<UserRow> for UserWithPassword {
    fn from(row: UserRow) -> Self {
        Self {
            password_hash: row.password_hash.map(Into::into),
            user: User {
                id: row.id,
                created_at: row.created_at.0,
                disabled: row.disabled,
                display_name: row.display_name,
                avatar_url: row.avatar_url,
                locale: row.locale,
                email: row.email,
                email_verified: row.email_verified,
                phone_number: row.phone_number,
                phone_number_verified: row.phone_number_verified,
                default_role: row.default_role,
                is_anonymous: row.is_anonymous,
                active_mfa_type: row.active_mfa_type,
                metadata: row.metadata.map(user_metadata),
                roles: row.roles,
            },
        }
    }
}

/// What the column holds.
pub(super) fn user_metadata(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("Postgres stores valid JSON only")
}

/// The users with these ids, in any order.
pub async fn find_by_ids(db: impl PgExecutor<'_>, ids: &[UserId]) -> sqlx::Result<Vec<User>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        UserRow,
        r#"
        select u.id as "id: UserId", u.created_at as "created_at: StoredTime", u.disabled, u.display_name, u.avatar_url,
               u.locale::text as "locale!", u.email::text as "email?", u.email_verified,
               u.phone_number, u.phone_number_verified, u.default_role, u.is_anonymous,
               u.active_mfa_type, u.metadata::text as "metadata?", null::text as password_hash,
               array(
                   select r.role from auth.user_roles r
                    where r.user_id = u.id order by r.created_at, r.role
               ) as "roles!"
          from auth.users u
         where u.id = any ($1)
        "#,
        &ids,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| UserWithPassword::from(row).user).collect())
}

/// The user with this address, whatever the case of its letters.
pub async fn find_by_email(
    db: impl PgExecutor<'_>,
    email: &EmailAddress,
) -> sqlx::Result<Option<UserWithPassword>> {
    let row = sqlx::query_as!(
        UserRow,
        r#"
        select u.id as "id: UserId", u.created_at as "created_at: StoredTime", u.disabled, u.display_name, u.avatar_url,
               u.locale::text as "locale!", u.email::text as "email?", u.email_verified,
               u.phone_number, u.phone_number_verified, u.default_role, u.is_anonymous,
               u.active_mfa_type, u.metadata::text as "metadata?", u.password_hash,
               array(
                   select r.role from auth.user_roles r
                    where r.user_id = u.id order by r.created_at, r.role
               ) as "roles!"
          from auth.users u
         where u.email = $1::text::citext
        "#,
        email.as_str(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// The user with exactly this number.
pub async fn find_by_phone(db: impl PgExecutor<'_>, phone: &str) -> sqlx::Result<Option<User>> {
    let row = sqlx::query_as!(
        UserRow,
        r#"
        select u.id as "id: UserId", u.created_at as "created_at: StoredTime", u.disabled, u.display_name, u.avatar_url,
               u.locale::text as "locale!", u.email::text as "email?", u.email_verified,
               u.phone_number, u.phone_number_verified, u.default_role, u.is_anonymous,
               u.active_mfa_type, u.metadata::text as "metadata?", null::text as password_hash,
               array(
                   select r.role from auth.user_roles r
                    where r.user_id = u.id order by r.created_at, r.role
               ) as "roles!"
          from auth.users u
         where u.phone_number = $1
        "#,
        phone,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| UserWithPassword::from(row).user))
}

/// In the order that they were given in, which reads keep.
async fn insert_roles(
    db: impl PgExecutor<'_>,
    id: UserId,
    roles: &[String],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into auth.user_roles (user_id, role, created_at)
        select $1, r.role, $3::timestamptz + r.n * interval '1 microsecond'
          from unnest($2::text[]) with ordinality as r (role, n)
        "#,
        id.0,
        roles,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The user to whom this identity at a provider belongs, and the row of the identity.
pub async fn find_by_identity(
    db: impl PgExecutor<'_>,
    provider_id: &str,
    subject: &str,
) -> sqlx::Result<Option<(User, uuid::Uuid)>> {
    let row = sqlx::query!(
        r#"
        select i.id as link, u.id as "id: UserId", u.created_at as "created_at: StoredTime", u.disabled,
               u.display_name, u.avatar_url, u.locale::text as "locale!", u.email::text as "email?",
               u.email_verified, u.phone_number, u.phone_number_verified, u.default_role,
               u.is_anonymous, u.active_mfa_type, u.metadata::text as "metadata?",
               array(
                   select r.role from auth.user_roles r
                    where r.user_id = u.id order by r.created_at, r.role
               ) as "roles!"
          from auth.user_providers i
          join auth.users u on u.id >= i.user_id and u.id <= i.user_id
         where i.provider_id = $1 and i.provider_user_id = $2
        "#,
        provider_id,
        subject,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let user = UserRow {
            id: row.id,
            created_at: row.created_at,
            disabled: row.disabled,
            display_name: row.display_name,
            avatar_url: row.avatar_url,
            locale: row.locale,
            email: row.email,
            email_verified: row.email_verified,
            phone_number: row.phone_number,
            phone_number_verified: row.phone_number_verified,
            default_role: row.default_role,
            is_anonymous: row.is_anonymous,
            active_mfa_type: row.active_mfa_type,
            metadata: row.metadata,
            password_hash: None,
            roles: row.roles,
        };
        (UserWithPassword::from(user).user, row.link)
    }))
}

/// Gives a user these roles and no others.
pub(super) async fn replace_roles(
    db: &mut PgConnection,
    id: UserId,
    roles: &[String],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!("delete from auth.user_roles where user_id = $1", id.0).execute(&mut *db).await?;
    insert_roles(db, id, roles, now).await
}

/// Records when many users were seen; never moves a value back. Users whose row another transaction holds
/// are left out and returned.
pub async fn set_last_seen(
    db: impl PgExecutor<'_>,
    seen: &[(UserId, OffsetDateTime)],
) -> sqlx::Result<Vec<UserId>> {
    let (ids, times): (Vec<uuid::Uuid>, Vec<_>) = seen.iter().map(|(id, at)| (id.0, *at)).unzip();
    sqlx::query_scalar!(
        r#"
        with batch as materialized (
            select s.* from unnest($1::uuid[], $2::timestamptz[]) as s (id, at)
        ), free as materialized (
            select s.* from batch s
              join auth.users u on u.id >= s.id and u.id <= s.id
             where u.last_seen is null or u.last_seen < s.at
               for no key update of u skip locked
        ), written as (
            update auth.users u set last_seen = f.at from free f where u.id >= f.id and u.id <= f.id
        )
        select s.id as "id!: UserId"
          from (select id, at from batch except select id, at from free) s
          join auth.users u on u.id >= s.id and u.id <= s.id
         where u.last_seen is null or u.last_seen < s.at
        "#,
        &ids,
        &times,
    )
    .fetch_all(db)
    .await
}

/// Marks the address as verified.
pub async fn set_email_verified(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<()> {
    sqlx::query!("update auth.users set email_verified = true where id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}

/// Marks the number as verified.
pub async fn set_phone_number_verified(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "update auth.users set phone_number_verified = true where id = $1 and not phone_number_verified",
        id.0,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Replaces a password hash by a stronger form of the same password, unless it changed meanwhile;
/// tells whether it did so.
pub async fn upgrade_password_hash(
    db: impl PgExecutor<'_>,
    id: UserId,
    old: &str,
    new: &str,
) -> sqlx::Result<bool> {
    let updated = sqlx::query!(
        "update auth.users set password_hash = $3 where id = $1 and password_hash = $2",
        id.0,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Sets a new password; tells whether there was one before.
pub async fn set_password_hash(
    db: impl PgExecutor<'_>,
    id: UserId,
    hash: &str,
) -> sqlx::Result<bool> {
    let had_one = sqlx::query_scalar!(
        r#"
        update auth.users u
           set password_hash = $2
          from (select id, password_hash from auth.users where id = $1 for no key update) b
         where u.id = b.id
        returning coalesce(b.password_hash, '') <> '' as "had_one!"
        "#,
        id.0,
        hash,
    )
    .fetch_optional(db)
    .await?;
    Ok(had_one.unwrap_or_default())
}

/// Forgets an address that was to replace the user's.
pub async fn forget_new_email(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "update auth.users set new_email = null where id = $1 and new_email is not null",
        id.0,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// What a user is who is kept from changing.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, one column each")]
pub struct LockedUser {
    pub is_anonymous: bool,
    pub disabled: bool,
    pub email_verified: bool,
    /// Never signed in, as far as anybody recorded.
    pub is_unused: bool,
}

/// Keeps others from changing the user until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<LockedUser>> {
    sqlx::query_as!(
        LockedUser,
        r#"
        select is_anonymous, disabled, email_verified, last_seen is null as "is_unused!"
          from auth.users
         where id = $1
           for no key update
        "#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// Remembers the address that is to replace the user's once its owner confirms it; tells whether it is
/// another one than the one remembered before.
pub async fn set_new_email(
    db: impl PgExecutor<'_>,
    id: UserId,
    new_email: &EmailAddress,
) -> sqlx::Result<bool> {
    let is_another = sqlx::query_scalar!(
        r#"
        update auth.users u
           set new_email = $2::text::citext
          from (select id, new_email from auth.users where id = $1 for no key update) b
         where u.id = b.id
        returning b.new_email is distinct from $2::text::citext as "is_another!"
        "#,
        id.0,
        new_email.as_str(),
    )
    .fetch_optional(db)
    .await?;
    Ok(is_another.unwrap_or_default())
}

/// What an anonymous user becomes.
#[derive(Debug)]
pub struct Registration<'a> {
    pub email: &'a str,
    pub display_name: &'a str,
    pub locale: &'a str,
    pub default_role: &'a str,
    /// `None` for those who sign in by mail.
    pub password_hash: Option<&'a str>,
    /// `None` keeps what is stored.
    pub metadata: Option<&'a RawValue>,
    pub roles: &'a [String],
    /// The address has to be proved before anybody signs in: nobody has used this account yet.
    pub is_pending: bool,
    pub now: OffsetDateTime,
}

/// Turns an anonymous user into a registered one; tells whether they still were anonymous and
/// enabled. The caller owns the transaction.
///
/// A duplicate address breaks [`USERS_EMAIL`](super::constraints::USERS_EMAIL).
pub async fn register_anonymous(
    db: &mut PgConnection,
    id: UserId,
    registration: &Registration<'_>,
) -> sqlx::Result<bool> {
    let updated = sqlx::query!(
        r#"
        update auth.users
           set is_anonymous = false, email = $2::text::citext, display_name = $3,
               locale = $4::text, default_role = $5, password_hash = $6,
               metadata = coalesce($7::text::jsonb, metadata), ticket = null,
               last_seen = case when $8 then null else last_seen end
         where id = $1 and is_anonymous and not disabled
        "#,
        id.0,
        registration.email,
        registration.display_name,
        registration.locale,
        registration.default_role,
        registration.password_hash,
        registration.metadata.map(RawValue::get),
        registration.is_pending,
    )
    .execute(&mut *db)
    .await?;
    if updated.rows_affected() == 0 {
        return Ok(false);
    }
    replace_roles(db, id, registration.roles, registration.now).await?;
    Ok(true)
}

/// Makes the pending address the user's address, verified; tells whether one was pending, and if
/// `mailed_to` is given whether it was that one.
///
/// An address that somebody else took meanwhile fails with `users_email_key`.
pub async fn confirm_new_email(
    db: impl PgExecutor<'_>,
    id: UserId,
    mailed_to: Option<&str>,
) -> sqlx::Result<bool> {
    let updated = sqlx::query!(
        r#"
        update auth.users
           set email = new_email, new_email = null, email_verified = true
         where id = $1 and new_email is not null
           and ($2::text is null or new_email = $2::text::citext)
        "#,
        id.0,
        mailed_to,
    )
    .execute(db)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Gives the user back an address that was theirs, verified; another one that is to replace it is
/// forgotten.
///
/// An address that somebody else took meanwhile fails with `users_email_key`.
pub async fn restore_email(db: impl PgExecutor<'_>, id: UserId, email: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update auth.users
           set email = $2::text::citext, new_email = null, email_verified = true
         where id = $1
        "#,
        id.0,
        email,
    )
    .execute(db)
    .await?;
    Ok(())
}
