//! New anonymous users, each with a session: many in one statement, since nothing about them is unique
//! but what this side made up.

use std::cmp::Ordering;

use sqlx::PgExecutor;
use time::OffsetDateTime;

use super::new_users::FirstSession;
use super::stored_time::StoredTime;
use super::written_user::{WrittenUser, written};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::metadata::Metadata;

/// One of them.
#[derive(Debug)]
pub struct NewAnonymousUser {
    pub id: UserId,
    pub created_at: OffsetDateTime,
    pub display_name: String,
    pub locale: String,
    /// Stored as JSON `null` where absent, as the reference does.
    pub metadata: Option<Metadata>,
    pub session: FirstSession,
}

/// The role of anonymous users, seeded by the first migration.
const ROLE: &str = "anonymous";

/// Writes users with their role, and a session each unless a trigger of an application disables them.
///
/// They come back in no order. The change feed is told of nobody, as of all new users
/// ([`new_users::insert`]).
///
/// [`new_users::insert`]: super::new_users::insert
pub async fn insert(
    db: impl PgExecutor<'_>,
    users: &[&NewAnonymousUser],
) -> sqlx::Result<Vec<WrittenUser>> {
    fn of<'a, T>(
        users: &[&'a NewAnonymousUser],
        column: impl Fn(&'a NewAnonymousUser) -> T,
    ) -> Vec<T> {
        users.iter().map(|user| column(user)).collect()
    }
    let begins = |user: &NewAnonymousUser| user.session.advanced.as_seconds_f64();
    let ends =
        |user: &NewAnonymousUser| (user.session.advanced + user.session.lifetime).as_seconds_f64();
    let rows = written!(
        [r#"
        with guest as materialized (
            select * from unnest(
                $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
                $7::float8[], $8::float8[]
            ) as g (id, created_at, display_name, locale, metadata, hash, begins, ends)
        ), person as (
            insert into auth.users (
                id, created_at, updated_at, disabled, display_name, avatar_url, locale, default_role,
                is_anonymous, metadata, last_seen, email_verified
            )
            select g.id, g.created_at, g.created_at, false, g.display_name, '', g.locale, $9, true,
                   g.metadata::jsonb, g.created_at, false
              from guest g
            returning id, created_at, disabled, display_name, avatar_url, locale, email,
                      email_verified, phone_number, phone_number_verified, default_role,
                      is_anonymous, active_mfa_type, metadata
        ), granted as (
            insert into auth.user_roles (user_id, role, created_at)
            select g.id, $9, g.created_at from guest g
            returning user_id, role
        ), session as (
            insert into auth.refresh_tokens
                   (user_id, refresh_token_hash, created_at, expires_at, type)
            select g.id, g.hash, now() + make_interval(secs => g.begins),
                   now() + make_interval(secs => g.ends), 'regular'
              from guest g
              join person p on p.id = g.id
             where not p.disabled
            returning user_id, id
        ), silent as materialized (
            select set_config('keywright.new_user', string_agg(g.id::text, ' '), true) is null
                   as is_changed
              from guest g
        ), written as (
            select p.*, array(select r.role from granted r where r.user_id = p.id) as roles,
                   s.id as session_id, silent.is_changed
              from person p
              cross join silent
              left join session s on s.user_id = p.id
        )
        "#],
        &of(users, |user| user.id.0),
        &of(users, |user| user.created_at),
        &of(users, |user| user.display_name.as_str()) as &[&str],
        &of(users, |user| user.locale.as_str()) as &[&str],
        &of(users, |user| user.metadata.as_ref().map_or("null", |json| json.raw().get()))
            as &[&str],
        &of(users, |user| user.session.hash.stored()),
        &of(users, begins),
        &of(users, ends),
        ROLE,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// By id.
impl Ord for NewAnonymousUser {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl PartialOrd for NewAnonymousUser {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for NewAnonymousUser {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for NewAnonymousUser {}
