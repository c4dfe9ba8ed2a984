//! Sessions of which this node does not know whose they are: after its start, after another node
//! served them, or when their users may have changed.

use sqlx::PgExecutor;
use time::Duration;

use super::refresh_tokens::{pieces, position, stored_pairs};
use super::stored_time::StoredTime;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::user::User;
use crate::persistence::users::user_metadata;
use crate::tokens::rotation::{Rotation, SessionRef};

/// What was traded, and whom of it this node did not know.
#[derive(Debug, Default)]
pub struct Traded {
    /// Places in the batch, and whose they are.
    pub sessions: Vec<(usize, SessionRef)>,
    /// The users of the sessions that were not known, in any order; if they are read.
    pub users: Vec<User>,
}

/// What is asked about the users of unknown sessions.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// Whether those who may refresh have an address that was verified.
    pub verification_required: bool,
    /// Whether they are returned.
    pub are_read: bool,
}

/// As [`rotate`], also for tokens of unknown sessions, which it finds, checks, trades and reads with
/// their users at once.
///
/// A token of an unknown
/// session is not traded if its user may not refresh: the condition is that of
/// [`User::check_refresh`], whose caller says whether addresses must be verified.
///
/// A user of several of these sessions is read once, for there is no bound to their metadata. The
/// `limit` makes the planner look each user up by its id, whatever it knows of the table.
///
/// [`rotate`]: super::refresh_tokens::rotate
pub async fn rotate_and_read(
    db: impl PgExecutor<'_>,
    rotations: &[Rotation],
    users: Users,
    advanced: Duration,
    lifetime: std::time::Duration,
) -> sqlx::Result<Traded> {
    let (presented, next) = stored_pairs(rotations);
    let is_known: Vec<bool> = rotations.iter().map(|rotation| rotation.session.is_some()).collect();
    let rows = sqlx::query!(
        r#"
        with rotated as (
            update auth.refresh_tokens t
               set refresh_token_hash = r.next,
                   expires_at = least(now() + make_interval(secs => $4), t.keywright_until),
                   keywright_rotated_at = now() + make_interval(secs => $3)
              from unnest($1::text[], $2::text[], $5::bool[])
                   with ordinality as r (presented, next, is_known, n)
             where t.refresh_token_hash >= r.presented and t.refresh_token_hash <= r.presented
               and t.type = 'regular' and (t.expires_at > now() + make_interval(secs => $3)) is true
               and (r.is_known or (
                   select not u.disabled
                          and (not $6 or u.email_verified or u.is_anonymous or u.email is null)
                     from auth.users u
                    where u.id = t.user_id
               ) is true)
            returning r.n, r.is_known, t.id, t.user_id
        )
        select r.n as "n!", r.id as "session_id!: SessionId", r.user_id as "owner!: UserId",
               u.id as "user_id?: UserId", u.created_at as "created_at?: StoredTime",
               u.disabled as "disabled?", u.display_name as "display_name?",
               u.avatar_url as "avatar_url?", u.locale::text as "locale?", u.email::text as "email?",
               u.email_verified as "email_verified?", u.phone_number as "phone_number?",
               u.phone_number_verified as "phone_number_verified?",
               u.default_role as "default_role?", u.is_anonymous as "is_anonymous?",
               u.active_mfa_type as "active_mfa_type?", u.metadata::text as "metadata?",
               array(
                   select o.role from auth.user_roles o
                    where o.user_id = u.id order by o.created_at, o.role
               ) as "roles!"
          from (
              select *, $7 and not is_known
                        and row_number() over (partition by user_id, is_known) = 1 as reads
                from rotated
          ) r
          left join lateral (
              select * from auth.users u where u.id = r.user_id and r.reads limit 1
          ) u on true
        "#,
        &pieces(&presented) as &[&str],
        &pieces(&next) as &[&str],
        advanced.as_seconds_f64(),
        (advanced + lifetime).as_seconds_f64(),
        &is_known,
        users.verification_required,
        users.are_read,
    )
    .fetch_all(db)
    .await?;
    let mut traded = Traded::default();
    for row in rows {
        let session = SessionRef { session_id: row.session_id, user_id: row.owner };
        traded.sessions.push((position(row.n), session));
        let user = || {
            Some(User {
                id: row.user_id?,
                created_at: row.created_at?.0,
                disabled: row.disabled?,
                display_name: row.display_name?,
                avatar_url: row.avatar_url?,
                locale: row.locale?,
                email: row.email,
                email_verified: row.email_verified?,
                phone_number: row.phone_number,
                phone_number_verified: row.phone_number_verified?,
                default_role: row.default_role?,
                is_anonymous: row.is_anonymous?,
                active_mfa_type: row.active_mfa_type,
                metadata: row.metadata.map(user_metadata),
                roles: row.roles,
            })
        };
        traded.users.extend(user());
    }
    Ok(traded)
}
