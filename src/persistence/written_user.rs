//! What the statements return that begin a session or insert a user: the user with roles, so that no
//! read follows.

use super::stored_time::StoredTime;
use super::users::user_metadata;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::user::User;

/// A user as a statement left them, and the session that it began.
#[derive(Clone, Debug)]
pub struct WrittenUser {
    pub user: User,
    pub session_id: Option<SessionId>,
    /// The statement changed what caches have of the user.
    pub is_changed: bool,
    /// The rows are as they are here. Triggers of an application run after what a statement returns was
    /// read, and may change the user.
    pub is_final: bool,
}

/// The columns of [`written!`].
#[expect(clippy::struct_excessive_bools, reason = "the columns of the table, and two of ours")]
pub(super) struct WrittenRow {
    pub id: UserId,
    pub created_at: StoredTime,
    pub disabled: bool,
    pub display_name: String,
    pub avatar_url: String,
    pub locale: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub phone_number: Option<String>,
    pub phone_number_verified: bool,
    pub default_role: String,
    pub is_anonymous: bool,
    pub active_mfa_type: Option<String>,
    pub metadata: Option<String>,
    pub roles: Vec<String>,
    pub session_id: Option<SessionId>,
    pub is_changed: bool,
    pub is_final: bool,
}

impl From<WrittenRow> for WrittenUser {
    fn from(row: WrittenRow) -> Self {
        Self {
            session_id: row.session_id,
            is_changed: row.is_changed,
            is_final: row.is_final,
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

/// A statement that ends with a CTE `written`: columns of `auth.users`, `roles`, `session_id` and
/// `is_changed`. Its text is the literals in brackets, joined.
///
/// The triggers of our migrations and of the reference leave users as they are, and so do those that
/// Hasura makes for its events.
macro_rules! written {
    ([$($with:tt)+] $(, $bind:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::persistence::written_user::WrittenRow,
            $($with)+ + r#"
            select w.id as "id: UserId", w.created_at as "created_at: StoredTime", w.disabled,
                   w.display_name, w.avatar_url, w.locale::text as "locale!",
                   w.email::text as "email?", w.email_verified as "email_verified!", w.phone_number,
                   w.phone_number_verified as "phone_number_verified!", w.default_role, w.is_anonymous,
                   w.active_mfa_type, w.metadata::text as "metadata?", w.roles as "roles!",
                   w.session_id as "session_id?: SessionId", w.is_changed as "is_changed!",
                   not exists (
                       select
                         from pg_catalog.pg_trigger t
                        where t.tgrelid in (
                                  'auth.users'::regclass, 'auth.user_roles'::regclass,
                                  'auth.refresh_tokens'::regclass
                              )
                          and not t.tgisinternal and t.tgenabled <> 'D'
                          and not starts_with(t.tgname::text, 'keywright_')
                          and t.tgname <> 'set_auth_users_updated_at'
                          and (
                              select f.pronamespace is distinct from to_regnamespace('hdb_catalog')
                                from pg_catalog.pg_proc f
                               where f.oid = t.tgfoid
                          )
                   ) as "is_final!"
              from written w
            "#
            $(, $bind)*
        )
    };
}

pub(super) use written;
