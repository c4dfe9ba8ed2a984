//! `auth.keywright_provider_refresh_tokens`: for which identity a refresh token of a provider was
//! given out.

use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::ids::UserId;

/// The identity of a refresh token, and whose it is.
#[derive(Debug)]
pub struct TokenOwner {
    pub link_id: Uuid,
    pub user_id: UserId,
    pub provider_id: String,
}

/// Remembers a token of an identity, and forgets all but the newest nine others.
pub async fn insert(
    db: impl PgExecutor<'_>,
    token_hash: &[u8; 32],
    link_id: Uuid,
    now: OffsetDateTime,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with forgotten as (
            delete from auth.keywright_provider_refresh_tokens t
             where t.token_hash in (
                 select o.token_hash
                   from auth.keywright_provider_refresh_tokens o
                  where o.user_provider_id = $2 and o.token_hash <> $1
                  order by o.created_at desc
                 offset 9
             )
        )
        insert into auth.keywright_provider_refresh_tokens
               (token_hash, user_provider_id, created_at)
        values ($1, $2, $3)
        on conflict (token_hash) do update
           set user_provider_id = excluded.user_provider_id, created_at = excluded.created_at
        "#,
        token_hash.as_slice(),
        link_id,
        now,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Whose this token is.
pub async fn find(
    db: impl PgExecutor<'_>,
    token_hash: &[u8; 32],
) -> sqlx::Result<Option<TokenOwner>> {
    sqlx::query_as!(
        TokenOwner,
        r#"
        select p.id as link_id, p.user_id as "user_id: UserId", p.provider_id
          from auth.keywright_provider_refresh_tokens t
          join auth.user_providers p on p.id = t.user_provider_id
         where t.token_hash = $1
        "#,
        token_hash.as_slice(),
    )
    .fetch_optional(db)
    .await
}
