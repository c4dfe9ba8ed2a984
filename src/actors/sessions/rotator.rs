//! Trades the tokens of a batch, also while somebody holds a row of theirs.
//!
//! A row is held by whoever deletes its user in a transaction that goes on, by a dump, by an operator
//! with a `begin` and no end. Its session has to wait; the others of the batch must not. So the lock
//! of a row is waited for once and shortly (`lock_timeout` of the dedicated connection); after that
//! rows that are held are left out, for as long as some are.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::actors::runtime::isolate::{Outcome, isolated};
use crate::persistence::dedicated_connection::{DedicatedConnection, Taken, is_lost};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::refresh_tokens;
use crate::tokens::rotation::Rotation;

/// How long after the last held row no lock is waited for.
const CAUTIOUS_FOR: Duration = Duration::from_secs(5);

/// What came of a token that was current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trade {
    /// It is traded.
    Done,
    /// Another transaction holds its row.
    Held,
}

/// With the rotation that it is of.
type Traded = (Rotation, Trade);

/// Rotates on a connection of its own.
pub struct Rotator {
    dedicated: DedicatedConnection,
    cautious_until: Mutex<Option<Instant>>,
}

impl Rotator {
    /// With nothing opened yet.
    pub fn new(pool: MeasuredPool) -> Self {
        Self { dedicated: DedicatedConnection::new(pool), cautious_until: Mutex::default() }
    }

    /// Trades these tokens, which are in ascending order: all nodes go in one order, so that two
    /// batches that share rows do not deadlock.
    pub async fn rotate(
        &self,
        rotations: &[Rotation],
        advanced: time::Duration,
        lifetime: Duration,
    ) -> Outcome<Rotation, Trade> {
        isolated(rotations, |part: Vec<Rotation>| async move {
            self.rotate_part(&part, advanced, lifetime).await
        })
        .await
    }

    /// Closes its connection.
    pub async fn close(&self) {
        self.dedicated.close().await;
    }

    /// On the kept connection; a second time on a new one if that had died meanwhile.
    ///
    /// What the first time committed is then not current any more, which the callers take for a
    /// repeated request.
    async fn rotate_part(
        &self,
        rotations: &[Rotation],
        advanced: time::Duration,
        lifetime: Duration,
    ) -> sqlx::Result<Vec<Traded>> {
        let mut db = self.dedicated.take().await?;
        let mut result = self.rotate_on(&mut db, rotations, advanced, lifetime).await;
        if db.was_idle && result.as_ref().is_err_and(is_lost) {
            drop(db);
            db = self.dedicated.open().await?;
            result = self.rotate_on(&mut db, rotations, advanced, lifetime).await;
        }
        // A statement that Postgres refused has ended, and the connection is as good as before.
        if matches!(&result, Ok(_) | Err(sqlx::Error::Database(_)))
            && !result.as_ref().is_err_and(is_lost)
        {
            self.dedicated.keep(db);
        }
        result
    }

    async fn rotate_on(
        &self,
        db: &mut Taken,
        rotations: &[Rotation],
        advanced: time::Duration,
        lifetime: Duration,
    ) -> sqlx::Result<Vec<Traded>> {
        let trades =
            |places: Vec<usize>, trade| places.into_iter().map(move |at| (rotations[at], trade));
        if !self.is_cautious() {
            let rotated =
                refresh_tokens::rotate(db.connection(), rotations, advanced, lifetime).await;
            match rotated {
                Err(error) if refresh_tokens::is_held_up(&error) => {
                    tracing::warn!(
                        rows = rotations.len(),
                        error = &error as &dyn std::error::Error,
                        "another transaction holds a session, its refreshes wait"
                    );
                    self.be_cautious();
                }
                result => return Ok(trades(result?, Trade::Done).collect()),
            }
        }
        let free =
            refresh_tokens::rotate_free(db.connection(), rotations, advanced, lifetime).await?;
        if !free.held.is_empty() {
            self.be_cautious();
        }
        Ok(trades(free.rotated, Trade::Done).chain(trades(free.held, Trade::Held)).collect())
    }

    fn is_cautious(&self) -> bool {
        let until = *self.cautious_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    fn be_cautious(&self) {
        *self.cautious_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + CAUTIOUS_FOR);
    }
}

/// The failure of a rotation whose row stays held.
pub fn held() -> Arc<sqlx::Error> {
    let what = "another transaction holds the session's row";
    Arc::new(sqlx::Error::Io(io::Error::new(io::ErrorKind::WouldBlock, what)))
}
