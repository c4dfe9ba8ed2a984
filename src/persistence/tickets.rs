//! `auth.keywright_tickets`, and the ticket column that the reference fills.

use secrecy::SecretString;
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use crate::domain::asked_by::AskedBy;
use crate::domain::ids::{SessionId, UserId};

/// How many tickets of one purpose a user may have pending, but for those of [`put_for_password`],
/// of which there is one, and of [`put_undo`], which are never replaced.
pub const PENDING: i32 = 3;

/// A ticket that is to be stored.
#[derive(Debug)]
pub struct NewTicket<'a> {
    pub hash: &'a [u8; 32],
    pub user_id: UserId,
    pub purpose: &'a str,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// Of the application that waits for a code.
    pub code_challenge: Option<&'a str>,
    /// The address that a change is about.
    pub email: Option<&'a str>,
    pub asked_by: &'a AskedBy,
}

/// Stores a ticket. Of [`PENDING`] that the user has of this purpose the oldest is void from now on.
///
/// The caller has locked the user, or else of two at once one could take the other's place.
pub async fn put(db: impl PgExecutor<'_>, ticket: &NewTicket<'_>) -> sqlx::Result<()> {
    let (by_registration, session_id, browser_hash) = match ticket.asked_by {
        AskedBy::Anybody => (false, None, None),
        AskedBy::Registration => (true, None, None),
        AskedBy::Session { id, browser_hash } => {
            (false, id.map(|id| id.0), browser_hash.as_ref().map(<[u8; 32]>::as_slice))
        }
    };
    sqlx::query!(
        r#"
        insert into auth.keywright_tickets
               (ticket_hash, user_id, purpose, slot, created_at, expires_at, code_challenge, email,
                by_registration, session_id, browser_hash)
        select $1, $2, $3, s.slot, $4, $5, $6, $7, $9, $10, $11
          from generate_series(0, $8::integer - 1) as s (slot)
          left join auth.keywright_tickets t
            on t.user_id = $2 and t.purpose = $3 and t.slot = s.slot
         order by coalesce(t.expires_at > $4, false), t.created_at, s.slot
         limit 1
        on conflict on constraint keywright_tickets_user_id_purpose_key
        do update set ticket_hash = excluded.ticket_hash, created_at = excluded.created_at,
                      tries = 0, expires_at = excluded.expires_at,
                      code_challenge = excluded.code_challenge, email = excluded.email,
                      by_registration = excluded.by_registration,
                      session_id = excluded.session_id, browser_hash = excluded.browser_hash
        "#,
        ticket.hash.as_slice(),
        ticket.user_id.0,
        ticket.purpose,
        ticket.created_at,
        ticket.expires_at,
        ticket.code_challenge,
        ticket.email,
        PENDING,
        by_registration,
        session_id,
        browser_hash,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Stores a ticket that replaces no other; the caller has locked the user.
pub async fn put_undo(db: impl PgExecutor<'_>, ticket: &NewTicket<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into auth.keywright_tickets
               (ticket_hash, user_id, purpose, slot, created_at, expires_at, email)
        select $1, $2, $3, coalesce(max(slot) + 1, 0), $4, $5, $6
          from auth.keywright_tickets
         where user_id = $2 and purpose = $3
        "#,
        ticket.hash.as_slice(),
        ticket.user_id.0,
        ticket.purpose,
        ticket.created_at,
        ticket.expires_at,
        ticket.email,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Uses up a ticket of [`put_undo`], and voids those that came after it; returns its address.
///
/// Older ones stay: they went to those who owned the account before.
pub async fn consume_undo(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"
        with used as (
            delete from auth.keywright_tickets
             where ticket_hash = $1 and purpose = $2 and expires_at > $3 and email is not null
            returning user_id, slot, email
        ), later as (
            delete from auth.keywright_tickets t
             using used u
             where t.user_id = u.user_id and t.purpose = $2 and t.slot > u.slot
        )
        select email as "email!" from used
        "#,
        ticket_hash.as_slice(),
        purpose,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Stores a ticket that stands for a password, unless that is no longer the user's or the user is
/// disabled; tells whether it did.
///
/// The row of the user is locked, so that whoever replaces the password voids this ticket, or comes
/// before it.
pub async fn put_for_password(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    password_hash: &str,
    purpose: &str,
    ticket_hash: &[u8; 32],
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        r#"
        insert into auth.keywright_tickets
               (ticket_hash, user_id, purpose, created_at, expires_at)
        select $1, u.id, $3, $4, $5
          from auth.users u
         where u.id = $2 and not u.disabled and u.password_hash = $6
           for no key update of u
        on conflict on constraint keywright_tickets_user_id_purpose_key
        do update set ticket_hash = excluded.ticket_hash, created_at = excluded.created_at,
                      tries = 0, expires_at = excluded.expires_at, code_challenge = null
        "#,
        ticket_hash.as_slice(),
        user_id.0,
        purpose,
        now,
        expires_at,
        password_hash,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// A ticket that is used up now.
#[derive(Debug)]
pub struct ConsumedTicket {
    pub user_id: UserId,
    /// Of the application that waits for a code.
    pub code_challenge: Option<String>,
    /// The address that a change is about; tickets of earlier versions do not tell.
    pub email: Option<String>,
    /// Issued together with the account.
    pub by_registration: bool,
    /// The session that asked for it.
    pub session_id: Option<SessionId>,
    /// SHA-256 of what the browser that asked for it keeps.
    pub browser_hash: Option<Vec<u8>>,
}

impl ConsumedTicket {
    /// One that the reference issued, of which nobody knows who asked: it does what it did there.
    pub const fn of_reference(user_id: UserId) -> Self {
        Self {
            user_id,
            code_challenge: None,
            by_registration: true,
            session_id: None,
            browser_hash: None,
            email: None,
        }
    }
}

/// Uses a ticket up, and with it the user's others of this purpose; of any number of parallel calls
/// exactly one gets it. The caller has locked the user.
pub async fn consume(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<ConsumedTicket>> {
    sqlx::query_as!(
        ConsumedTicket,
        r#"
        with used as (
            delete from auth.keywright_tickets
             where ticket_hash = $1 and purpose = $2 and expires_at > $3
            returning user_id, code_challenge, email, by_registration, session_id, browser_hash
        ), others as (
            delete from auth.keywright_tickets t
             using used u
             where t.user_id = u.user_id and t.purpose = $2 and t.ticket_hash <> $1
        )
        select user_id as "user_id!: UserId", code_challenge as "code_challenge?",
               email as "email?", by_registration as "by_registration!",
               session_id as "session_id?: SessionId", browser_hash as "browser_hash?"
          from used
        "#,
        ticket_hash.as_slice(),
        purpose,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Counts one try at a ticket and tells whose it is; nothing when its tries are used up.
///
/// For tickets that need a second factor: a wrong one must not use the ticket up at once, and not
/// be repeated without end. The count holds for all nodes.
pub async fn try_once(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    max_tries: i16,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        update auth.keywright_tickets
           set tries = tries + 1
         where ticket_hash = $1 and purpose = $2 and expires_at > $4 and tries < $3
        returning user_id as "user_id: UserId"
        "#,
        ticket_hash.as_slice(),
        purpose,
        max_tries,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Counts one try at all the tickets of that purpose that the user has pending and gives their
/// hashes; none when there are none, or their tries are used up. For codes, which are too short to
/// find their user.
///
/// A try counts for all of them, so that several codes take no more tries together than one.
pub async fn try_once_by_user(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    purpose: &str,
    max_tries: i16,
    now: OffsetDateTime,
) -> sqlx::Result<Vec<Vec<u8>>> {
    // The user first, as by all who touch several of these rows, or two could wait for each other.
    sqlx::query_scalar!(
        r#"
        with owner as materialized (
            select id from auth.users where id = $1 for no key update
        )
        update auth.keywright_tickets t
           set tries = t.tries + 1
          from owner o
         where t.user_id = o.id and t.purpose = $2 and t.expires_at > $4 and t.tries < $3
        returning t.ticket_hash
        "#,
        user_id.0,
        purpose,
        max_tries,
        now,
    )
    .fetch_all(db)
    .await
}

/// Whose ticket this is, without using it up; also one that the reference issued.
pub async fn find(
    db: impl PgExecutor<'_>,
    ticket_hash: &[u8; 32],
    purpose: &str,
    ticket: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    sqlx::query_scalar!(
        r#"
        select user_id as "user_id!: UserId"
          from auth.keywright_tickets
         where ticket_hash = $1 and purpose = $2 and expires_at > $4
         union all
        select id
          from auth.users
         where ticket = $3 and ticket_expires_at > $4
         limit 1
        "#,
        ticket_hash.as_slice(),
        purpose,
        ticket,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Voids a user's pending tickets of these purposes, and whatever the reference has issued for one.
///
/// A mailed code of the reference is six digits and nothing else.
pub async fn void(
    db: &mut PgConnection,
    user_id: UserId,
    purposes: &[&str],
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    let purposes: Vec<String> = purposes.iter().map(|&purpose| purpose.to_owned()).collect();
    sqlx::query!(
        "delete from auth.keywright_tickets where user_id = $1 and purpose = any ($2)",
        user_id.0,
        &purposes,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        r#"
        update auth.users
           set ticket = null, ticket_expires_at = $3
         where id = $1
           and (split_part(ticket, ':', 1) = any ($2)
                or ('emailOtp' = any ($2) and ticket ~ '^[0-9]{6}$'))
        "#,
        user_id.0,
        &purposes,
        now,
    )
    .execute(&mut *db)
    .await?;
    Ok(())
}

/// A code of the reference that is used up now.
#[derive(Debug)]
pub struct ReferenceCode {
    pub code: SecretString,
    /// The user's at that moment.
    pub password_hash: Option<SecretString>,
}

/// Uses up a code of six digits that the reference sent, and tells what it was.
///
/// It counts no tries, so any try uses it up.
pub async fn consume_reference_code(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<ReferenceCode>> {
    let row = sqlx::query!(
        r#"
        with pending as (
            select id, ticket
              from auth.users
             where id = $1 and ticket ~ '^[0-9]{6}$' and ticket_expires_at > $2
               for no key update
        )
        update auth.users u
           set ticket = null, ticket_expires_at = $2
          from pending p
         where u.id = p.id
        returning p.ticket as "code!", u.password_hash
        "#,
        user_id.0,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| ReferenceCode {
        code: row.code.into(),
        password_hash: row.password_hash.map(Into::into),
    }))
}

/// A ticket of the reference that is used up now.
#[derive(Debug)]
pub struct ReferenceTicket {
    pub user_id: UserId,
    /// The user's at that moment.
    pub password_hash: Option<SecretString>,
}

/// Uses up a ticket that the reference implementation issued; `ticket` is its whole text.
pub async fn consume_reference(
    db: impl PgExecutor<'_>,
    ticket: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<UserId>> {
    Ok(consume_reference_ticket(db, ticket, now).await?.map(|consumed| consumed.user_id))
}

/// The same, and tells the user's password hash.
pub async fn consume_reference_ticket(
    db: impl PgExecutor<'_>,
    ticket: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<ReferenceTicket>> {
    let row = sqlx::query!(
        r#"
        update auth.users
           set ticket = null, ticket_expires_at = $2
         where ticket = $1 and ticket_expires_at > $2
        returning id as "user_id: UserId", password_hash
        "#,
        ticket,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| ReferenceTicket {
        user_id: row.user_id,
        password_hash: row.password_hash.map(Into::into),
    }))
}

/// Removes at most `limit` tickets that can no longer be used; returns how many there were.
pub async fn delete_expired(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<u64> {
    let deleted = sqlx::query!(
        r#"
        delete from auth.keywright_tickets
         where ticket_hash in (
            select ticket_hash from auth.keywright_tickets
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
