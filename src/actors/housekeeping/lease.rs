//! Whether this node is the one that keeps house.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::persistence::housekeeper;
use crate::persistence::measured_pool::MeasuredPool;

/// How long a node has to be silent before another one takes its place.
const LEASE: Duration = Duration::from_secs(30);

/// How much sooner it stops by itself, for what is under way.
const MARGIN: Duration = Duration::from_secs(5);

/// A row in Postgres that one node writes again and again. Unlike a lock it needs no connection, so
/// that a pooler may be in between, and a node that is gone leaves nothing behind.
#[derive(Debug)]
pub(super) struct HouseLease {
    /// A name that no other process has.
    node: String,
    until: Mutex<Option<Instant>>,
}

impl HouseLease {
    /// Not held yet.
    pub(super) fn new() -> Self {
        Self { node: Uuid::new_v4().to_string(), until: Mutex::default() }
    }

    /// Whether this node keeps house at this moment.
    pub(super) fn is_held(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Holds it for longer, or takes it if nobody does. After a failure it ends by itself.
    pub(super) async fn renew(&self, pool: &MeasuredPool) -> sqlx::Result<()> {
        let asked = Instant::now();
        let is_held = housekeeper::claim(pool, &self.node, LEASE).await?;
        let until = is_held.then(|| asked + LEASE - MARGIN);
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        Ok(())
    }
}
