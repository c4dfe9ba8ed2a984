//! `auth.keywright_unproven_links`: identities that wait for the address of their account to be
//! verified.

use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::ids::UserId;

/// An identity that waits.
#[derive(Debug)]
pub struct PendingIdentityLink {
    pub provider_id: String,
    pub provider_user_id: String,
    /// SHA-256 of what the browser keeps that the identity came from.
    pub browser_hash: Option<Vec<u8>>,
}

/// Remembers an identity until its account's address is verified.
pub async fn insert(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    provider_id: &str,
    subject: &str,
    browser_hash: Option<&[u8]>,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into auth.keywright_unproven_links
               (user_id, provider_id, provider_user_id, browser_hash, created_at)
        values ($1, $2, $3, $4, $5)
        on conflict (user_id, provider_id, provider_user_id)
        do update set browser_hash = excluded.browser_hash, created_at = excluded.created_at
        "#,
        user_id.0,
        provider_id,
        subject,
        browser_hash,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes all that wait for this user's address.
pub async fn take(
    db: impl PgExecutor<'_>,
    user_id: UserId,
) -> sqlx::Result<Vec<PendingIdentityLink>> {
    sqlx::query_as!(
        PendingIdentityLink,
        r#"
        delete from auth.keywright_unproven_links
         where user_id = $1
        returning provider_id, provider_user_id, browser_hash
        "#,
        user_id.0,
    )
    .fetch_all(db)
    .await
}
