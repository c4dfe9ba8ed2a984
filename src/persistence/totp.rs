//! The second factor: two columns of `auth.users`, and `auth.keywright_totp_steps`.

use secrecy::SecretString;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::ids::UserId;
use crate::totp::Step;

/// A user's second factor as stored.
#[derive(Debug)]
pub struct TotpRow {
    pub is_active: bool,
    /// Plain or sealed; `None` also for an empty text.
    pub secret: Option<SecretString>,
}

/// Reads the second factor and keeps others from changing it until the transaction ends.
pub async fn lock(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<Option<TotpRow>> {
    let row = sqlx::query!(
        r#"
        select coalesce(active_mfa_type = 'totp', false) as "is_active!",
               nullif(totp_secret, '') as totp_secret
          from auth.users
         where id = $1
           for no key update
        "#,
        id.0,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| TotpRow { is_active: row.is_active, secret: row.totp_secret.map(Into::into) }))
}

/// Stores a secret, in whatever form.
pub async fn set_secret(db: impl PgExecutor<'_>, id: UserId, secret: &str) -> sqlx::Result<()> {
    sqlx::query!("update auth.users set totp_secret = $2 where id = $1", id.0, secret)
        .execute(db)
        .await?;
    Ok(())
}

/// Asks for the second factor from now on, or no longer; the secret stays.
pub async fn set_active(db: impl PgExecutor<'_>, id: UserId, active: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "update auth.users set active_mfa_type = $2 where id = $1",
        id.0,
        active.then_some("totp"),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Remembers the step of a code; tells whether it is later than all that were accepted before.
///
/// Of any number of nodes that accept codes of one step, one is told `true`.
pub async fn accept_step(
    db: impl PgExecutor<'_>,
    id: UserId,
    step: Step,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let accepted = sqlx::query!(
        r#"
        insert into auth.keywright_totp_steps as s (user_id, last_step, accepted_at)
        values ($1, $2, $3)
        on conflict (user_id)
        do update set last_step = excluded.last_step, accepted_at = excluded.accepted_at
                where s.last_step < excluded.last_step
        "#,
        id.0,
        step.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(accepted.rows_affected() > 0)
}

/// Forgets the accepted steps, which say nothing about a new secret.
pub async fn forget_steps(db: impl PgExecutor<'_>, id: UserId) -> sqlx::Result<()> {
    sqlx::query!("delete from auth.keywright_totp_steps where user_id = $1", id.0)
        .execute(db)
        .await?;
    Ok(())
}

/// How many secrets are stored in which form, and one that is sealed.
#[derive(Debug)]
pub struct StoredSecrets {
    pub plain: i64,
    pub sealed: i64,
    /// Sealed by Nhost Auth.
    pub successor: i64,
    pub sample_user: Option<UserId>,
    pub sample: Option<String>,
}

/// For `keywright doctor`; reads the whole table of users.
pub async fn stored_secrets(db: impl PgExecutor<'_>) -> sqlx::Result<StoredSecrets> {
    sqlx::query_as!(
        StoredSecrets,
        r#"
        with secrets as (
            select id, totp_secret as secret,
                   case when starts_with(totp_secret, 'kw1:') then 'sealed'
                        when totp_secret ~ '^([0-9a-fA-F]{2}){32,}$' then 'successor'
                        else 'plain' end as form
              from auth.users
             where totp_secret <> ''
        )
        select count(*) filter (where form = 'plain') as "plain!",
               count(*) filter (where form = 'sealed') as "sealed!",
               count(*) filter (where form = 'successor') as "successor!",
               (array_agg(id order by id) filter (where form <> 'plain'))[1]
                   as "sample_user: UserId",
               (array_agg(secret order by id) filter (where form <> 'plain'))[1] as sample
          from secrets
        "#,
    )
    .fetch_one(db)
    .await
}
