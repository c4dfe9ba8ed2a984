//! The channel on which the triggers of our migrations report changes.

use sqlx::PgExecutor;

/// Name of the channel.
pub const CHANNEL: &str = "keywright_changes";

/// Sends a message to every listener, the sender included.
pub async fn notify(db: impl PgExecutor<'_>, payload: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify('keywright_changes', $1)", payload).execute(db).await?;
    Ok(())
}
