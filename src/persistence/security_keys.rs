//! `auth.user_security_keys`: passkeys and security keys.

use sqlx::PgExecutor;

use crate::domain::ids::UserId;

/// How many keys a user owns.
pub async fn count(db: impl PgExecutor<'_>, user_id: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from auth.user_security_keys where user_id = $1"#,
        user_id.0,
    )
    .fetch_one(db)
    .await
}
