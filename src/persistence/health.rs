//! Whether Postgres responds.

use std::sync::Arc;
use std::time::Instant;

use sqlx::PgExecutor;
use tokio::sync::Mutex;

/// One round trip.
pub async fn ping(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(db).await?;
    Ok(())
}

/// Round trips for any number of callers at once, one after the other: nothing limits how often a
/// node is asked how it is, and each question must not take a connection.
#[derive(Debug, Default)]
pub struct SharedPing {
    /// When the last one began, and what came of it.
    last: Mutex<Option<(Instant, Outcome)>>,
}

type Outcome = Result<(), Arc<sqlx::Error>>;

impl SharedPing {
    /// What a round trip says that began after the call.
    pub async fn ping(&self, db: impl PgExecutor<'_>) -> Outcome {
        let asked = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((began, outcome)) = &*last
            && *began >= asked
        {
            return outcome.clone();
        }
        let began = Instant::now();
        let outcome = ping(db).await.map_err(Arc::new);
        *last = Some((began, outcome.clone()));
        outcome
    }
}
