//! Codes by SMS that the reference has sent: columns of `auth.users`.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::ids::UserId;

/// The bcrypt hash of the user's code that is still good.
pub async fn find(
    db: impl PgExecutor<'_>,
    id: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<Option<SecretString>> {
    let hash = sqlx::query_scalar!(
        r#"
        select otp_hash as "otp_hash!"
          from auth.users
         where id = $1 and otp_method_last_used = 'sms' and otp_hash <> ''
           and otp_hash_expires_at > $2
        "#,
        id.0,
        now,
    )
    .fetch_optional(db)
    .await?;
    Ok(hash.map(Into::into))
}

/// Voids whatever code is pending.
pub async fn void_pending(
    db: impl PgExecutor<'_>,
    id: UserId,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update auth.users set otp_hash_expires_at = $2 where id = $1 and otp_hash_expires_at > $2",
        id.0,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Voids that code, as the reference does, and tells whether it still was good.
pub async fn void(
    db: impl PgExecutor<'_>,
    id: UserId,
    hash: &SecretString,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let voided = sqlx::query!(
        r#"
        update auth.users
           set otp_hash_expires_at = $3
         where id = $1 and otp_hash = $2 and otp_hash_expires_at > $3
        "#,
        id.0,
        hash.expose_secret(),
        now,
    )
    .execute(db)
    .await?;
    Ok(voided.rows_affected() > 0)
}
