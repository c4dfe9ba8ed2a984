//! `auth.user_providers` and `auth.providers`: identities at providers, and whose they are.

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::ids::UserId;

/// An identity that belongs to a user.
#[derive(Clone, Copy, Debug)]
pub struct ProviderLink {
    pub id: Uuid,
    pub user_id: UserId,
}

/// Makes providers known that have names of their own, since rows of identities refer to them; the
/// others are in every database.
pub async fn seed(db: impl PgExecutor<'_>, ids: &[String]) -> sqlx::Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into auth.providers (id) select unnest($1::text[]) on conflict do nothing",
        ids,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose this identity is.
pub async fn find(
    db: impl PgExecutor<'_>,
    provider_id: &str,
    subject: &str,
) -> sqlx::Result<Option<ProviderLink>> {
    sqlx::query_as!(
        ProviderLink,
        r#"
        select id, user_id as "user_id: UserId"
          from auth.user_providers
         where provider_id = $1 and provider_user_id = $2
        "#,
        provider_id,
        subject,
    )
    .fetch_optional(db)
    .await
}

/// Gives an identity to a user; `None` if it belongs to somebody already.
pub async fn insert(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    provider_id: &str,
    subject: &str,
    now: OffsetDateTime,
) -> sqlx::Result<Option<ProviderLink>> {
    // The token is what the reference writes where it keeps none.
    sqlx::query_as!(
        ProviderLink,
        r#"
        insert into auth.user_providers
               (user_id, provider_id, provider_user_id, access_token, created_at, updated_at)
        values ($1, $2, $3, 'unset', $4, $4)
        on conflict (provider_id, provider_user_id) do nothing
        returning id, user_id as "user_id: UserId"
        "#,
        user_id.0,
        provider_id,
        subject,
        now,
    )
    .fetch_optional(db)
    .await
}

/// Takes an identity from a user.
pub async fn delete(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    provider_id: &str,
    subject: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        delete from auth.user_providers
         where user_id = $1 and provider_id = $2 and provider_user_id = $3
        "#,
        user_id.0,
        provider_id,
        subject,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Takes all identities from a user.
pub async fn delete_all(db: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<()> {
    sqlx::query!("delete from auth.user_providers where user_id = $1", user_id.0)
        .execute(db)
        .await?;
    Ok(())
}

/// Keeps the sealed tokens of an identity.
pub async fn store_tokens(
    db: impl PgExecutor<'_>,
    id: Uuid,
    sealed: &SecretString,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update auth.user_providers set access_token = $2 where id = $1",
        id,
        sealed.expose_secret(),
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Sealed tokens of an identity.
#[derive(Debug)]
pub struct StoredTokens {
    pub id: Uuid,
    pub sealed: SecretString,
}

/// Takes the tokens of a user's newest identity at a provider; each is given out once, also if two
/// ask at once.
pub async fn take_tokens(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    provider_id: &str,
) -> sqlx::Result<Option<StoredTokens>> {
    sqlx::query_as!(
        StoredTokens,
        r#"
        with newest as (
            select id, access_token
              from auth.user_providers
             where user_id = $1 and provider_id = $2
             order by updated_at desc, id
             limit 1
               for update
        )
        update auth.user_providers p
           set access_token = ''
          from newest n
         where p.id = n.id and n.access_token not in ('', 'unset')
        returning p.id, n.access_token as "sealed!"
        "#,
        user_id.0,
        provider_id,
    )
    .fetch_optional(db)
    .await
}
