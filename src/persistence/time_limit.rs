//! A limit for what is done on a connection.

use std::time::Duration;

use tokio::time::timeout;

/// Waits for `limit` at most: Postgres ends long statements itself, unless it is out of reach.
pub async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    match timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
