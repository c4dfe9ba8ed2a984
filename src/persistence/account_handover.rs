//! What an account has that lets somebody in, and how it passes to a new owner.
//!
//! Nothing here asks `auth.refresh_tokens` for a user's sessions, of which there is no index: whoever
//! begins one sets `last_seen`, the reference too.

use serde_json::value::RawValue;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use super::new_users::NewUser;
use super::stored_time::StoredTime;
use super::users;
use crate::domain::ids::UserId;

/// How an account can be signed in to, and since when it is there.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each way")]
pub struct WaysIn {
    pub created_at: OffsetDateTime,
    pub password: bool,
    pub security_key: bool,
    /// At a provider; also one that waits for the address to be verified.
    pub identity: bool,
    /// Somebody has signed in.
    pub is_used: bool,
}

impl WaysIn {
    /// The names of the ways, for templates: those that are there, with blanks between.
    pub fn names(self) -> String {
        let all = [
            ("password", self.password),
            ("security-key", self.security_key),
            ("identity", self.identity),
        ];
        let names: Vec<&str> =
            all.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect();
        names.join(" ")
    }
}

/// How the user's account can be signed in to by now.
pub async fn ways_in(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<WaysIn>> {
    sqlx::query_as!(
        WaysIn,
        r#"
        select u.created_at as "created_at: StoredTime", u.password_hash is not null as "password!",
               exists (
                   select from auth.user_security_keys k where k.user_id = u.id
               ) as "security_key!",
               exists (select from auth.user_providers p where p.user_id = u.id)
               or exists (
                   select from auth.keywright_unproven_links l where l.user_id = u.id
               ) as "identity!",
               u.last_seen is not null as "is_used!"
          from auth.users u
         where u.id = $1
        "#,
        id.0,
    )
    .fetch_optional(db)
    .await
}

/// Takes from a user what somebody could sign in with that is kept in the row itself.
pub async fn clear_credentials(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update auth.users
           set password_hash = null, totp_secret = null, active_mfa_type = null
         where id = $1
        "#,
        id.0,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes from a user what somebody wrote about them; without a name the address is the name, as for
/// new users.
pub async fn clear_profile(
    db: impl PgExecutor<'_>,
    id: UserId,
    display_name: Option<&str>,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update auth.users
           set metadata = 'null', display_name = coalesce($2, email::text, '')
         where id = $1
        "#,
        id.0,
        display_name,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// How an account is registered anew that nobody could use yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Its id stays.
    Keeping,
    /// It gets the id of the new user, which an authenticator has remembered.
    WithId,
    /// Its id stays, and so does the whole account if somebody could sign in with more than mail.
    OnlyBare,
}

/// Registers anew who has this address and never proved it nor signed in; tells who that was.
///
/// The caller owns the transaction, and ends what the account had before. An account that was used,
/// that an administrator has disabled, or that is a guest's is none of these.
pub async fn replace_pending(
    db: &mut PgConnection,
    user: &NewUser<'_>,
    replace: Replace,
) -> sqlx::Result<Option<UserId>> {
    let id = sqlx::query_scalar!(
        r#"
        update auth.users u
           set id = case when $2 then $1 else u.id end, created_at = $3, display_name = $4,
               avatar_url = $5, locale = $6::text, password_hash = $8, default_role = $9,
               metadata = $10::text::jsonb, totp_secret = null, active_mfa_type = null,
               new_email = null
         where u.email = $7::text::citext and not u.email_verified and u.last_seen is null
           and not u.disabled and not u.is_anonymous
           and (not $11 or (
               u.password_hash is null
               and not exists (select from auth.user_security_keys k where k.user_id = u.id)
               and not exists (select from auth.user_providers p where p.user_id = u.id)
               and not exists (
                   select from auth.keywright_unproven_links l where l.user_id = u.id
               )
           ))
        returning u.id as "id: UserId"
        "#,
        user.id.0,
        replace == Replace::WithId,
        user.created_at,
        user.display_name,
        user.avatar_url,
        user.locale,
        user.email,
        user.password_hash,
        user.default_role,
        user.metadata.map_or("null", RawValue::get),
        replace == Replace::OnlyBare,
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(id) = id else { return Ok(None) };
    users::replace_roles(db, id, user.roles, user.created_at).await?;
    Ok(Some(id))
}
