//! Rows of `auth.refresh_tokens` with the type `pat`: personal access tokens.

use serde_json::value::RawValue;
use sqlx::PgExecutor;
use time::OffsetDateTime;

use crate::domain::ids::{SessionId, UserId};
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::SessionRef;

/// Stores a personal access token.
pub async fn insert(
    db: impl PgExecutor<'_>,
    user_id: UserId,
    hash: TokenHash,
    metadata: Option<&RawValue>,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> sqlx::Result<SessionId> {
    sqlx::query_scalar!(
        r#"
        insert into auth.refresh_tokens (
            user_id, refresh_token_hash, created_at, expires_at, type, metadata
        )
        values ($1, $2, $3, $4, 'pat', $5::text::jsonb)
        returning id as "id: SessionId"
        "#,
        user_id.0,
        hash.stored(),
        now,
        expires_at,
        metadata.map(RawValue::get),
    )
    .fetch_one(db)
    .await
}

/// The row of a personal access token and whose it is, while it is valid.
pub async fn find(
    db: impl PgExecutor<'_>,
    hash: TokenHash,
    now: OffsetDateTime,
) -> sqlx::Result<Option<SessionRef>> {
    sqlx::query_as!(
        SessionRef,
        r#"
        select id as "session_id: SessionId", user_id as "user_id: UserId"
          from auth.refresh_tokens
         where refresh_token_hash = $1 and type = 'pat' and expires_at > $2
        "#,
        hash.stored(),
        now,
    )
    .fetch_optional(db)
    .await
}
