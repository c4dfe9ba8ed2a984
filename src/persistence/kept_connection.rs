//! A connection that the hottest statement keeps for itself.
//!
//! The pool tests a connection when it is taken and again when it is given back: two round trips
//! that cost more than a small batch of rotations itself.

use std::sync::{Mutex, PoisonError};

use sqlx::{Connection as _, PgConnection};

use crate::persistence::watched_pool::WatchedPool;

/// At most one idle connection, outside the pool's count, opened when it is needed.
pub struct KeptConnection {
    pool: WatchedPool,
    idle: Mutex<Option<PgConnection>>,
}

/// A connection in use; dropped without [`KeptConnection::keep`] it is closed.
pub struct Taken {
    pub connection: PgConnection,
    /// It was idle before, so its server may have gone without a word.
    pub was_idle: bool,
}

impl KeptConnection {
    /// Nothing is opened yet.
    pub fn new(pool: WatchedPool) -> Self {
        Self { pool, idle: Mutex::default() }
    }

    /// The idle connection, or a new one.
    pub async fn take(&self) -> sqlx::Result<Taken> {
        match self.take_idle() {
            Some(connection) => Ok(Taken { connection, was_idle: true }),
            None => self.open().await,
        }
    }

    /// A new connection, as the pool opens them.
    pub async fn open(&self) -> sqlx::Result<Taken> {
        Ok(Taken { connection: self.pool.acquire().await?.detach(), was_idle: false })
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

/// Whether the connection itself is lost, not just its statement.
pub fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // Class 57P: the server is shutting down, or ended this connection.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}
