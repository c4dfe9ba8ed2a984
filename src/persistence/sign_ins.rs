//! Sessions of users who exist: one statement looks at the user and at what the session rests on,
//! writes the session and `last_seen`, and returns the user with roles.
//!
//! Whoever ends a proof writes the row of the user or deletes the row of the proof, and then ends
//! the sessions. Both rows are locked here, so that one of the two is first: either this sees what
//! the other did, or the other ends this session. The user comes first, as everywhere. The lock is
//! the one that an update takes, because the row is updated next: two sign-ins of one user that
//! shared a lock would wait for each other. A row that changed while its lock was waited for is
//! looked at again by Postgres, in its new form.
//!
//! `last_seen` comes before the session, which a trigger of an application may take as a reason to
//! write the user's row too. Rows are joined by ranges as in `refresh_tokens`.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgExecutor;
use time::{Duration, OffsetDateTime};

use super::stored_time::StoredTime;
use super::written_user::{WrittenUser, written};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session_basis::SessionBasis;
use crate::tokens::refresh_token::TokenHash;

/// A session that is about to start.
#[derive(Clone, Copy, Debug)]
pub struct NewSession {
    pub hash: TokenHash,
    pub lifetime: std::time::Duration,
    /// When the user was seen.
    pub now: OffsetDateTime,
    /// Of the clock: the session's times are Postgres' (`refresh_tokens`).
    pub advanced: Duration,
}

impl NewSession {
    /// Seconds from Postgres' time to its beginning and to its end.
    fn seconds(&self) -> (f64, f64) {
        let end = self.advanced + self.lifetime;
        (self.advanced.as_seconds_f64(), end.as_seconds_f64())
    }
}

/// A session of the user whom `$origin` finds, which also tells what the session comes from: columns
/// `pat_id`, `until` and `key_id`. `$1` to `$4` are the session's.
macro_rules! begin {
    ($origin:tt, $from:tt, $also:tt, $session:ident $(, $bind:expr)* $(,)?) => {{
        let (now, end) = $session.seconds();
        written!(
            [r#"
            with owner as materialized (
                select u.id, u.created_at, u.disabled, u.display_name, u.avatar_url, u.locale,
                       u.email, u.email_verified, u.phone_number, u.phone_number_verified,
                       u.default_role, u.is_anonymous, u.active_mfa_type, u.metadata,
            "# + $origin + r#"
                  from auth.users u
            "# + $from + r#"
            ), seen as (
                update auth.users u
                   set last_seen = $2
                  from owner o
                 where u.id >= o.id and u.id <= o.id and (u.last_seen is null or u.last_seen < $2)
                returning u.id
            ), session as (
                insert into auth.refresh_tokens
                       (user_id, refresh_token_hash, created_at, expires_at, type,
                        keywright_pat_id, keywright_until, keywright_key_id)
                select o.id, $1, now() + make_interval(secs => $3),
                       least(now() + make_interval(secs => $4), o.until), 'regular', o.pat_id,
                       o.until, o.key_id
                  from owner o cross join (select count(*) from seen) as first
                returning id
            )
            "# + $also + r#"
            , written as (
                select o.*, array(
                           select r.role from auth.user_roles r
                            where r.user_id = o.id order by r.created_at, r.role
                       ) as roles,
                       s.id as session_id, false as is_changed
                  from owner o cross join session s
            )
            "#],
            $session.hash.stored(),
            $session.now,
            now,
            end
            $(, $bind)*
        )
    }};
}

/// Starts a session if what it rests on still holds and the user is not disabled; `None` if not.
pub async fn begin(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    session: NewSession,
    basis: &SessionBasis,
) -> sqlx::Result<Option<WrittenUser>> {
    let row = match basis {
        SessionBasis::Ticket | SessionBasis::ExchangeCode => {
            begin!(
                "null::uuid as pat_id, null::timestamptz as until, null::uuid as key_id",
                "where u.id = $5 and not u.disabled for no key update of u",
                "",
                session,
                user_id.0,
            )
            .fetch_optional(db)
            .await
        }
        SessionBasis::Password(_) | SessionBasis::UsedUp(_) => {
            let password = match basis {
                SessionBasis::Password(password) => Some(password),
                SessionBasis::UsedUp(password) => password.as_ref(),
                _ => None,
            };
            begin!(
                "null::uuid as pat_id, null::timestamptz as until, null::uuid as key_id",
                "where u.id = $5 and not u.disabled and u.password_hash is not distinct from $6 \
                   for no key update of u",
                "",
                session,
                user_id.0,
                password.map(SecretString::expose_secret),
            )
            .fetch_optional(db)
            .await
        }
        SessionBasis::Phone(number) => {
            begin!(
                "null::uuid as pat_id, null::timestamptz as until, null::uuid as key_id",
                "where u.id = $5 and not u.disabled and u.phone_number = $6 \
                   for no key update of u",
                "",
                session,
                user_id.0,
                number,
            )
            .fetch_optional(db)
            .await
        }
        SessionBasis::PersonalAccessToken(pat) => {
            begin!(
                "p.id as pat_id, p.expires_at as until, null::uuid as key_id",
                "join auth.refresh_tokens p on p.id = $6 and p.user_id = u.id \
                 where u.id = $5 and not u.disabled and p.type = 'pat' \
                   and p.expires_at > now() + make_interval(secs => $3) \
                   for no key update of u \
                   for key share of p",
                "",
                session,
                user_id.0,
                pat.0,
            )
            .fetch_optional(db)
            .await
        }
        SessionBasis::SecurityKey(key) => {
            begin!(
                "null::uuid as pat_id, null::timestamptz as until, k.id as key_id",
                "join auth.user_security_keys k on k.id = $6 and k.user_id = u.id \
                 where u.id = $5 and not u.disabled \
                   for no key update of u \
                   for key share of k",
                "",
                session,
                user_id.0,
                key.0,
            )
            .fetch_optional(db)
            .await
        }
        SessionBasis::Identity { link, tokens } => {
            begin!(
                "null::uuid as pat_id, null::timestamptz as until, null::uuid as key_id",
                "join auth.user_providers i on i.id = $6 and i.user_id = u.id \
                 where u.id = $5 and not u.disabled \
                   for no key update of u \
                   for key share of i",
                ", kept as ( \
                     update auth.user_providers i set access_token = $7 from owner o \
                      where i.id = $6 and $7::text is not null \
                 )",
                session,
                user_id.0,
                link,
                tokens.as_ref().map(SecretString::expose_secret),
            )
            .fetch_optional(db)
            .await
        }
    };
    Ok(row?.map(Into::into))
}

/// Starts a session for a personal access token that is valid, of a user whom nothing keeps from signing
/// in but, perhaps, the lists of addresses; `None` otherwise, and somebody has to find out why.
pub async fn begin_with_pat(
    db: impl PgExecutor<'_>,
    pat: TokenHash,
    session: NewSession,
    verification_required: bool,
) -> sqlx::Result<Option<WrittenUser>> {
    let row = begin!(
        "p.id as pat_id, p.expires_at as until, null::uuid as key_id",
        "join auth.refresh_tokens p on u.id >= p.user_id and u.id <= p.user_id \
         where p.refresh_token_hash = $5 and p.type = 'pat' \
           and p.expires_at > now() + make_interval(secs => $3) \
           and not u.disabled and not u.is_anonymous \
           and (not $6 or u.email is null or u.email_verified) \
           for no key update of u \
           for key share of p",
        "",
        session,
        pat.stored(),
        verification_required,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}

/// What a ticket proves, besides who its user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketProves {
    /// The phone number.
    Phone,
    /// The address, if the mail came with the sign-up.
    EmailOfSignUp,
    /// The address, whatever mail it was.
    Email,
}

/// A ticket that is used up by the statement that begins the session.
#[derive(Clone, Copy, Debug)]
pub struct PresentedTicket<'a> {
    pub hash: &'a [u8; 32],
    pub purpose: &'a str,
    pub proves: TicketProves,
}

/// Uses a ticket up, and with it the user's others of this purpose, and starts a session, if there is
/// nothing more to do: the ticket is ours and waits for no exchange, and its user is enabled, is
/// verified or becomes so by what the ticket proves, and has no identity that waits for that.
/// `None` otherwise, and nothing is done.
pub async fn begin_with_ticket(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    session: NewSession,
    ticket: PresentedTicket<'_>,
) -> sqlx::Result<Option<WrittenUser>> {
    let (now, end) = session.seconds();
    let row = written!(
        [r#"
        with owner as materialized (
            select u.id, u.created_at, u.disabled, u.display_name, u.avatar_url, u.locale, u.email,
                   u.email_verified or not $8 as email_verified, u.phone_number,
                   u.phone_number_verified or $8 as phone_number_verified, u.default_role,
                   u.is_anonymous, u.active_mfa_type, u.metadata,
                   case when $8 then not u.phone_number_verified else not u.email_verified end
                       as is_changed
              from auth.users u
              join auth.keywright_tickets t on t.user_id = u.id
             where u.id = $5 and not u.disabled and t.ticket_hash = $6 and t.purpose = $7
               and t.expires_at > $2 and t.code_challenge is null
               and ($8 or (
                   (u.email_verified or t.by_registration or $9)
                   and not exists (
                       select from auth.keywright_unproven_links l where l.user_id = $5
                   )
               ))
               for no key update of u
        ), used as (
            delete from auth.keywright_tickets t
             using owner o
             where t.ticket_hash = $6 and t.purpose = $7 and t.expires_at > $2 and t.user_id = $5
            returning t.user_id
        ), others as (
            delete from auth.keywright_tickets t
             using used
             where t.user_id = $5 and t.purpose = $7 and t.ticket_hash <> $6
        ), seen as (
            update auth.users u
               set last_seen = greatest(u.last_seen, $2),
                   email_verified = u.email_verified or not $8,
                   phone_number_verified = u.phone_number_verified or $8
              from used
             where u.id = $5
            returning u.id
        ), session as (
            insert into auth.refresh_tokens
                   (user_id, refresh_token_hash, created_at, expires_at, type)
            select $5, $1, now() + make_interval(secs => $3), now() + make_interval(secs => $4),
                   'regular'
              from used cross join (select count(*) from seen) as first
            returning id
        ), written as (
            select o.*, array(
                       select r.role from auth.user_roles r
                        where r.user_id = o.id order by r.created_at, r.role
                   ) as roles,
                   s.id as session_id
              from owner o cross join session s
        )
        "#],
        session.hash.stored(),
        session.now,
        now,
        end,
        user_id.0,
        ticket.hash.as_slice(),
        ticket.purpose,
        ticket.proves == TicketProves::Phone,
        ticket.proves == TicketProves::Email,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(Into::into))
}
