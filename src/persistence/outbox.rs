//! `auth.keywright_outbox`: mail that an acknowledged request has promised.
//!
//! A row is written in the transaction that creates the ticket and deleted once the mail is out.
//! Whoever wants to send a message claims it first, for a lease; a sender that dies leaves a row
//! that becomes due again when its lease ends. So a message is sent by one node at a time, and at
//! least once.

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use super::stored_time::StoredTime;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::mail::{MailTemplate, NewMessage, OutboxMessage};

/// Writes a message that is due at once; call it in the transaction that creates its ticket.
pub async fn enqueue(conn: &mut PgConnection, message: NewMessage) -> sqlx::Result<MessageId> {
    let variables = serde_json::to_value(&message.variables)
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query!(
        r#"
        insert into auth.keywright_outbox
            (id, user_id, recipient, template, locale, variables, created_at, expires_at,
             next_attempt_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $7)
        "#,
        message.id.0,
        message.user_id.map(|id| id.0),
        message.recipient,
        message.template.name(),
        message.locale,
        variables,
        message.created_at,
        message.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(message.id)
}

/// Takes back a message that the same transaction wrote.
pub async fn withdraw(db: impl PgExecutor<'_>, id: MessageId) -> sqlx::Result<()> {
    sqlx::query!("delete from auth.keywright_outbox where id = $1", id.0).execute(db).await?;
    Ok(())
}

/// Takes back what a user was to be sent with these templates, as far as nobody sends it now.
pub async fn withdraw_of_user(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    templates: &[MailTemplate],
) -> sqlx::Result<()> {
    let templates: Vec<String> =
        templates.iter().map(|template| template.name().to_owned()).collect();
    sqlx::query!(
        "delete from auth.keywright_outbox where user_id = $1 and template = any ($2)",
        user_id.0,
        &templates,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A claimed row, before its JSON is understood.
struct Row {
    id: Uuid,
    recipient: String,
    template: String,
    locale: String,
    variables: serde_json::Value,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    attempts: i32,
}

impl Row {
    /// `None`, with a log line, for what this version cannot read; others must not suffer from it.
    fn into_message(self) -> Option<OutboxMessage> {
        let template = MailTemplate::from_name(&self.template);
        let variables = serde_json::from_value(self.variables);
        let (Some(template), Ok(variables)) = (template, variables) else {
            tracing::error!(message.id = %self.id, template = self.template, "mail unreadable");
            return None;
        };
        Some(OutboxMessage {
            id: MessageId(self.id),
            recipient: self.recipient,
            template,
            locale: self.locale,
            variables,
            created_at: self.created_at,
            expires_at: self.expires_at,
            attempts: self.attempts,
        })
    }
}

/// Claims up to `limit` messages that are due at `now`, oldest first, until `lease_end`.
///
/// Messages with a template of a newer version are left to the nodes that know it.
pub async fn claim_due(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    lease_end: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<OutboxMessage>> {
    let known = MailTemplate::ALL.map(|template| template.name().to_owned());
    let rows = sqlx::query_as!(
        Row,
        r#"
        with due as (
            select id
              from auth.keywright_outbox
             where next_attempt_at <= $1 and expires_at > $1 and template = any($4)
             order by next_attempt_at
             limit $3
               for update skip locked
        )
        update auth.keywright_outbox as message
           set next_attempt_at = $2, attempts = message.attempts + 1
          from due
         where message.id = due.id
        returning message.id, message.recipient, message.template, message.locale,
                  message.variables, message.created_at as "created_at: StoredTime",
                  message.expires_at as "expires_at: StoredTime", message.attempts
        "#,
        now,
        lease_end,
        limit,
        &known[..],
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(Row::into_message).collect())
}

/// Claims this message until `lease_end`; `None` if it is gone, expired, or another has it.
pub async fn claim_one(
    db: impl PgExecutor<'_>,
    id: MessageId,
    now: OffsetDateTime,
    lease_end: OffsetDateTime,
) -> sqlx::Result<Option<OutboxMessage>> {
    let row = sqlx::query_as!(
        Row,
        r#"
        update auth.keywright_outbox
           set next_attempt_at = $3, attempts = attempts + 1
         where id = $1 and next_attempt_at <= $2 and expires_at > $2
        returning id, recipient, template, locale, variables,
                  created_at as "created_at: StoredTime", expires_at as "expires_at: StoredTime",
                  attempts
        "#,
        id.0,
        now,
        lease_end,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.and_then(Row::into_message))
}

/// Deletes a message that is out.
pub async fn delivered(db: impl PgExecutor<'_>, id: MessageId) -> sqlx::Result<()> {
    sqlx::query!("delete from auth.keywright_outbox where id = $1", id.0).execute(db).await?;
    Ok(())
}

/// Notes a failed attempt; the message is due again at `next_attempt_at`.
///
/// Nothing happens if another sender has claimed it since, because the lease had ended.
pub async fn failed(
    db: impl PgExecutor<'_>,
    id: MessageId,
    attempts: i32,
    error: &str,
    next_attempt_at: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update auth.keywright_outbox
           set last_error = $3, next_attempt_at = $4
         where id = $1 and attempts = $2
        "#,
        id.0,
        attempts,
        error,
        next_attempt_at,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whether nobody has delivered this message yet, or failed to.
pub async fn is_untried(db: impl PgExecutor<'_>, id: MessageId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from auth.keywright_outbox where id = $1 and last_error is null
        ) as "is_untried!"
        "#,
        id.0,
    )
    .fetch_one(db)
    .await
}

/// A message that was never delivered in its time.
#[derive(Clone, Debug)]
pub struct ExpiredMessage {
    pub id: MessageId,
    pub template: String,
    pub attempts: i32,
    /// Why the last attempt failed, without the recipient's address.
    pub last_error: Option<String>,
}

/// Removes at most `limit` messages whose ticket has expired at `now`.
pub async fn expire(
    db: impl PgExecutor<'_>,
    now: OffsetDateTime,
    limit: i64,
) -> sqlx::Result<Vec<ExpiredMessage>> {
    sqlx::query_as!(
        ExpiredMessage,
        r#"
        delete from auth.keywright_outbox
         where id in (
            select id from auth.keywright_outbox
             where expires_at <= $1
             limit $2 for update skip locked
         )
        returning id as "id: MessageId", template, attempts, last_error
        "#,
        now,
        limit,
    )
    .fetch_all(db)
    .await
}

/// What waits in the outbox.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    pub messages: i64,
    /// Of the message that has waited longest.
    pub oldest: Option<StoredTime>,
}

/// Messages whose time is not over at `now`, on whichever node they were promised.
pub async fn backlog(db: impl PgExecutor<'_>, now: OffsetDateTime) -> sqlx::Result<Backlog> {
    sqlx::query_as!(
        Backlog,
        r#"
        select count(*) as "messages!", min(created_at) as "oldest: StoredTime"
          from auth.keywright_outbox
         where expires_at > $1
        "#,
        now,
    )
    .fetch_one(db)
    .await
}
