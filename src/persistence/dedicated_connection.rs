//! A connection that is dedicated to the hottest statement.
//!
//! The pool tests a connection when it is taken and again when it is given back: two round trips
//! that cost more than a small batch of rotations itself.

use std::sync::{Mutex, PoisonError};

use sqlx::{Connection as _, PgConnection};

use super::measured_pool::MeasuredPool;

/// At most one idle connection, outside the pool's count, opened when it is needed.
pub struct DedicatedConnection {
    pool: MeasuredPool,
    idle: Mutex<Option<PgConnection>>,
}

/// A connection in use; dropped without [`DedicatedConnection::keep`] it is closed.
pub struct Taken {
    pub connection: PgConnection,
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
            Some(connection) => Ok(Taken { connection, was_idle: true }),
            None => self.open().await,
        }
    }

    /// A new connection, as the pool opens them, on which every join goes through an index.
    pub async fn open(&self) -> sqlx::Result<Taken> {
        // In a box: it is large, and rare.
        let mut connection = Box::pin(self.pool.acquire()).await?.detach();
        pin_plans(&mut connection).await?;
        Ok(Taken { connection, was_idle: false })
    }

    /// Keeps a connection whose statement ended well.
    pub fn keep(&self, taken: Taken) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken.connection);
    }

    /// Closes the idle connection.
    pub async fn close(&self) {
        if let Some(connection) = self.take_idle() {
            // The server notices anyway.
            let _ = connection.close().await;
        }
    }

    fn take_idle(&self) -> Option<PgConnection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Lets the planner choose index scans in nested loops only, once for every statement.
///
/// A statement of this connection looks rows up by a unique key and nothing else. The planner sees
/// a table that was empty or small at that time, prefers to read all of it, and stays with that
/// plan while the table grows by its dead rows: a batch then costs two to four times as much.
async fn pin_plans(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        select set_config('plan_cache_mode', 'force_generic_plan', false) as plan,
               set_config('enable_seqscan', 'off', false) as seqscan,
               set_config('enable_bitmapscan', 'off', false) as bitmapscan,
               set_config('enable_hashjoin', 'off', false) as hashjoin,
               set_config('enable_mergejoin', 'off', false) as mergejoin
        "#
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
