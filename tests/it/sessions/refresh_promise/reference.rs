//! What the reference does with refresh tokens, statement by statement.

use sqlx::PgExecutor;
use uuid::Uuid;

use crate::support::two_nodes::stored;

/// Its first statement of `POST /token`: whose token is this?
pub(crate) async fn find_user(
    db: impl PgExecutor<'_>,
    presented: &str,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar(
        "select u.id from auth.refresh_tokens as r join auth.users as u on u.id = r.user_id
          where r.refresh_token_hash = $1 and r.type = 'regular' and r.expires_at > now()",
    )
    .bind(stored(presented))
    .fetch_optional(db)
    .await
}

/// Its second one: the row gets a random token, whatever has become of type and expiry meanwhile.
/// `None` if the token is gone.
pub(crate) async fn rotate(
    db: impl PgExecutor<'_>,
    presented: &str,
    fresh: &str,
) -> sqlx::Result<Option<Uuid>> {
    let row: Option<(Uuid, Option<String>)> = sqlx::query_as(
        "with rotated as (
             update auth.refresh_tokens
                set refresh_token_hash = $2, expires_at = now() + interval '30 days'
              where refresh_token_hash = $1
             returning id, user_id
         ), seen as (
             update auth.users set last_seen = now()
               from rotated where auth.users.id = rotated.user_id
         )
         select rotated.id, r.role
           from rotated left join auth.user_roles as r on r.user_id = rotated.user_id
          limit 1",
    )
    .bind(stored(presented))
    .bind(stored(fresh))
    .fetch_optional(db)
    .await?;
    Ok(row.map(|(id, _role)| id))
}

/// `POST /signout` with a token.
pub(crate) async fn sign_out(db: impl PgExecutor<'_>, presented: &str) -> sqlx::Result<()> {
    sqlx::query("delete from auth.refresh_tokens where refresh_token_hash = $1")
        .bind(stored(presented))
        .execute(db)
        .await?;
    Ok(())
}
