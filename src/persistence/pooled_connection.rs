//! A connection of the pool in somebody's hands, and a transaction on it.
//!
//! Whoever has one may be cancelled at any time: a client goes away, a deadline passes. The pool
//! waits without a limit for what was under way on a connection that comes back, which on a network
//! that swallows packets takes until the kernel gives up. Here it has half a second, then the
//! connection is closed and its place is free.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Database, PgConnection, Postgres};
use sqlx_core::transaction::TransactionManager as _;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::user_turns::UserTurn;

type Manager = <Postgres as Database>::TransactionManager;

/// How long a statement that nobody waits for any more may go on, with the roll-back after it,
/// before the connection is closed. Postgres notices that and ends the statement
/// (`client_connection_check_interval`).
const RETURN_LIMIT: Duration = Duration::from_millis(500);

const TAKEN: &str = "the connection is there until it is dropped";

/// A connection that goes back to its pool when it is dropped, or is closed.
#[derive(Debug)]
pub struct PooledConnection {
    connection: Option<PoolConnection<Postgres>>,
}

impl From<PoolConnection<Postgres>> for PooledConnection {
    fn from(connection: PoolConnection<Postgres>) -> Self {
        Self { connection: Some(connection) }
    }
}

impl PooledConnection {
    /// Closes it instead of giving it back, and waits for that.
    pub async fn close(mut self) -> sqlx::Result<()> {
        let connection = self.connection.take().expect(TAKEN);
        timeout(RETURN_LIMIT, connection.close()).await.unwrap_or(Ok(()))
    }

    /// Closes it instead of giving it back; its place in the pool is free at once.
    pub fn close_on_drop(mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(TAKEN)
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(TAKEN)
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let back = connection.return_to_pool();
        // Without a runtime everything ends, the connection too.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if timeout(RETURN_LIMIT, back).await.is_err() {
                    tracing::debug!("a connection to Postgres did not come to an end, closed it");
                }
            });
        }
    }
}

/// A transaction; dropped without [`Transaction::commit`] it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    connection: PooledConnection,
    is_open: bool,
    /// Of its user, given back with the connection.
    turn: Option<UserTurn>,
}

impl Transaction {
    /// Begins one.
    pub async fn begin(connection: PooledConnection) -> sqlx::Result<Self> {
        // From here on it is rolled back unless it is committed.
        let mut transaction = Self { connection, is_open: true, turn: None };
        Manager::begin(&mut transaction.connection, None).await?;
        Ok(transaction)
    }

    /// Others of the same user wait until this one ends.
    pub(super) fn keep_turn(&mut self, turn: UserTurn) {
        self.turn = Some(turn);
    }

    /// Makes everything last that was done in it.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        Manager::commit(&mut self.connection).await?;
        self.is_open = false;
        Ok(())
    }

    /// Undoes everything that was done in it, before anybody goes on.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        Manager::rollback(&mut self.connection).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_open {
            // Sent when the connection goes back.
            Manager::start_rollback(&mut self.connection);
        }
    }
}
