//! Sessions of a disabled user, which show whether the size of `auth.refresh_tokens` matters.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use uuid::Uuid;

/// Rows of one statement.
const CHUNK: i32 = 50_000;

/// A connection with a user who is disabled and owns all that is added, until
/// [`SessionFiller::close`].
#[derive(Debug)]
pub struct SessionFiller {
    db: PgConnection,
    owner: Uuid,
}

impl SessionFiller {
    /// Makes the user.
    pub async fn open(options: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut db = options.connect().await?;
        let owner = Uuid::new_v4();
        sqlx::query!(
            r#"
            insert into auth.users (id, disabled, locale, display_name, default_role)
            select $1, true, 'en', 'keywright bench', role from auth.roles limit 1
            "#,
            owner
        )
        .execute(&mut db)
        .await?;
        Ok(Self { db, owner })
    }

    /// Adds sessions until the table has about this many rows.
    pub async fn fill_up_to(&mut self, rows: u64) -> sqlx::Result<()> {
        let wanted = i64::try_from(rows).unwrap_or(i64::MAX);
        let present = sqlx::query_scalar!("select count(*) from auth.refresh_tokens")
            .fetch_one(&mut self.db)
            .await?;
        let mut missing = wanted.saturating_sub(present.unwrap_or(0));
        while missing > 0 {
            let chunk = i32::try_from(missing).unwrap_or(CHUNK).min(CHUNK);
            sqlx::query!(
                r#"
                insert into auth.refresh_tokens (user_id, refresh_token_hash, expires_at, type)
                select $1, '\x' || encode(sha256(gen_random_uuid()::text::bytea), 'hex'),
                       now() + interval '30 days', 'regular'
                  from generate_series(1, $2)
                "#,
                self.owner,
                chunk
            )
            .execute(&mut self.db)
            .await?;
            missing -= i64::from(chunk);
        }
        Ok(())
    }

    /// Removes user and sessions and disconnects.
    pub async fn close(mut self) -> sqlx::Result<()> {
        sqlx::query!("delete from auth.users where id = $1", self.owner)
            .execute(&mut self.db)
            .await?;
        self.db.close().await
    }
}
