//! `auth.keywright_settings`, the row that tells which node keeps house.

use std::time::Duration;

use sqlx::PgExecutor;

/// Makes this node the one that keeps house, or goes on with it; tells whether it is.
///
/// Another node has to be silent for `lease` first. Its time is Postgres'. A time that lies too far
/// ahead is of a Postgres whose clock was wrong, and holds nobody up.
pub async fn claim(db: impl PgExecutor<'_>, node: &str, lease: Duration) -> sqlx::Result<bool> {
    let claimed = sqlx::query!(
        r#"
        insert into auth.keywright_settings as s (name, value, updated_at)
        values ('housekeeper', $1, now())
        on conflict (name) do update
           set value = excluded.value, updated_at = excluded.updated_at
         where s.value = excluded.value
            or s.updated_at not between now() - make_interval(secs => $2)
                                    and now() + make_interval(secs => $2)
        "#,
        node,
        lease.as_secs_f64(),
    )
    .execute(db)
    .await?;
    Ok(claimed.rows_affected() > 0)
}
