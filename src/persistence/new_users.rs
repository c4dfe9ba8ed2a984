//! New users: their rows in `auth.users` and `auth.user_roles`, and the session that begins with them.

use serde_json::value::RawValue;
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use super::stored_time::StoredTime;
use super::written_user::{WrittenUser, written};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::metadata::Metadata;
use crate::domain::sign_up_options::ResolvedOptions;
use crate::tokens::refresh_token::TokenHash;

/// A registration.
#[derive(Debug)]
pub struct NewUser<'a> {
    pub id: UserId,
    pub created_at: OffsetDateTime,
    pub disabled: bool,
    pub display_name: &'a str,
    pub avatar_url: &'a str,
    pub locale: &'a str,
    pub email: Option<&'a str>,
    /// Whether the address is verified already.
    pub email_verified: bool,
    pub phone_number: Option<&'a str>,
    pub password_hash: Option<&'a str>,
    pub default_role: &'a str,
    pub is_anonymous: bool,
    /// JSON text; stored as JSON `null` where absent, as the reference does.
    pub metadata: Option<&'a RawValue>,
    pub roles: &'a [String],
    /// Set when the registration begins a session.
    pub last_seen: Option<OffsetDateTime>,
}

impl<'a> NewUser<'a> {
    /// With what was asked for, and nothing to sign in with yet.
    pub fn with_options(id: UserId, now: OffsetDateTime, options: &'a ResolvedOptions) -> Self {
        Self {
            id,
            created_at: now,
            disabled: false,
            display_name: &options.display_name,
            avatar_url: "",
            locale: &options.locale,
            email: None,
            email_verified: false,
            phone_number: None,
            password_hash: None,
            default_role: &options.default_role,
            is_anonymous: false,
            metadata: options.metadata.as_ref().map(Metadata::raw),
            roles: &options.allowed_roles,
            last_seen: None,
        }
    }
}

/// The session that begins with a user.
#[derive(Clone, Copy, Debug)]
pub struct FirstSession {
    pub hash: TokenHash,
    pub lifetime: std::time::Duration,
    /// Of the clock: the session's times are Postgres' (`refresh_tokens`).
    pub advanced: Duration,
}

/// Writes a user with roles, and a session unless the user is disabled: one statement.
///
/// A duplicate address breaks [`USERS_EMAIL`](super::constraints::USERS_EMAIL). The change feed is told
/// of nobody whom no cache can have: `keywright.new_user` says so to its trigger.
pub async fn insert(
    db: impl PgExecutor<'_>,
    user: &NewUser<'_>,
    session: Option<FirstSession>,
) -> sqlx::Result<WrittenUser> {
    let (now, end) = session.map_or((0.0, 0.0), |session| {
        let end = session.advanced + session.lifetime;
        (session.advanced.as_seconds_f64(), end.as_seconds_f64())
    });
    let row = written!(
        [r#"
        with person as (
            insert into auth.users (
                id, created_at, updated_at, disabled, display_name, avatar_url, locale, email,
                password_hash, default_role, is_anonymous, metadata, last_seen, phone_number,
                email_verified
            )
            values (
                $1, $2, $2, $3, $4, $5, $6::text, $7::text::citext, $8, $9, $10, $11::text::jsonb,
                $12, $13, $14
            )
            returning id, created_at, disabled, display_name, avatar_url, locale, email,
                      email_verified, phone_number, phone_number_verified, default_role,
                      is_anonymous, active_mfa_type, metadata
        ), granted as (
            -- In the order that they were given in, which reads keep.
            insert into auth.user_roles (user_id, role, created_at)
            select p.id, r.role, $2::timestamptz + r.n * interval '1 microsecond'
              from person p cross join unnest($15::text[]) with ordinality as r (role, n)
            returning role, created_at
        ), session as (
            insert into auth.refresh_tokens
                   (user_id, refresh_token_hash, created_at, expires_at, type)
            select p.id, $16::text, now() + make_interval(secs => $17),
                   now() + make_interval(secs => $18), 'regular'
              from person p
             where $16::text is not null and not p.disabled
            returning id
        ), written as (
            select p.*, array(select g.role from granted g order by g.created_at, g.role) as roles,
                   (select s.id from session s) as session_id,
                   set_config('keywright.new_user', p.id::text, true) is null as is_changed
              from person p
        )
        "#],
        user.id.0,
        user.created_at,
        user.disabled,
        user.display_name,
        user.avatar_url,
        user.locale,
        user.email,
        user.password_hash,
        user.default_role,
        user.is_anonymous,
        user.metadata.map_or("null", RawValue::get),
        user.last_seen,
        user.phone_number,
        user.email_verified,
        user.roles,
        session.map(|session| session.hash.stored()),
        now,
        end,
    )
    .fetch_one(db)
    .await?;
    Ok(row.into())
}
