//! A connection that is dedicated to the hottest statement.
//!
//! The pool tests a connection when it is taken and again when it is given back: two round trips
//! that cost more than a small batch of rotations itself.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sqlx::PgConnection;

use super::measured_pool::MeasuredPool;
use super::pooled_connection::PooledConnection;

/// At most one connection of the pool, taken when it is needed and kept.
pub struct DedicatedConnection {
    pool: MeasuredPool,
    idle: Mutex<Option<Kept>>,
}

struct Kept {
    connection: PooledConnection,
    opened: Instant,
}

/// A connection in use; dropped without [`DedicatedConnection::keep`] it is closed.
pub struct Taken {
    kept: Option<Kept>,
    /// It was idle before, so its server may have gone without a word.
    pub was_idle: bool,
}

impl DedicatedConnection {
    /// Nothing is opened yet.
    pub fn new(pool: MeasuredPool) -> Self {
        Self { pool, idle: Mutex::default() }
    }

    /// The idle connection, or a new one.
    pub async fn take(&self) -> sqlx::Result<Taken> {
        match self.take_idle() {
            Some(kept) if kept.opened.elapsed() < self.pool.max_lifetime() => {
                Ok(Taken { kept: Some(kept), was_idle: true })
            }
            Some(old) => {
                drop(Taken { kept: Some(old), was_idle: true });
                self.open().await
            }
            None => self.open().await,
        }
    }

    /// Another connection, as the pool opens them, on which every join goes through an index.
    pub async fn open(&self) -> sqlx::Result<Taken> {
        // In a box: it is large, and rare.
        let mut connection = Box::pin(self.pool.acquire()).await?;
        dedicate(&mut connection).await?;
        Ok(Taken { kept: Some(Kept { connection, opened: Instant::now() }), was_idle: false })
    }

    /// Keeps a connection whose statement ended well.
    pub fn keep(&self, mut taken: Taken) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = taken.kept.take();
    }

    /// Closes the idle connection.
    pub async fn close(&self) {
        if let Some(kept) = self.take_idle() {
            // The server notices anyway.
            let _ = kept.connection.close().await;
        }
    }

    fn take_idle(&self) -> Option<Kept> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Taken {
    /// The connection.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.kept.as_mut().expect("it is there until it is dropped").connection
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            // What is set on it is not for others.
            kept.connection.close_on_drop();
        }
    }
}

/// How long a rotation waits for the lock of a row, in milliseconds: the others of its batch wait
/// with it.
const LOCK_TIMEOUT_MS: u32 = 100;

/// Lets the planner choose index scans in nested loops only, once for every statement.
///
/// A statement of this connection looks rows up by a unique key and nothing else. The planner sees
/// a table that was empty or small at that time, prefers to read all of it, and stays with that
/// plan while the table grows by its dead rows: a batch then costs two to four times as much.
async fn dedicate(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        select set_config('lock_timeout', $1, false) as lock_timeout,
               set_config('plan_cache_mode', 'force_generic_plan', false) as plan,
               set_config('enable_bitmapscan', 'off', false) as bitmapscan,
               set_config('enable_hashjoin', 'off', false) as hashjoin,
               set_config('enable_mergejoin', 'off', false) as mergejoin
        "#,
        format!("{LOCK_TIMEOUT_MS}ms"),
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

/// Whether the connection itself is lost, not just its statement.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // Class 57P: the server is shutting down, or ended this connection.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
