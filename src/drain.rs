//! How a front end comes to its end without losing a request.
//!
//! 1. Serving.
//! 2. Draining: everything is served, new connections too, but each connection is asked to end: over
//!    HTTP/1 by `Connection: close` on its next answer, over HTTP/2 by GOAWAY. Whoever looks at
//!    `/healthz` moves away. No connection is ended that a client may be about to use.
//! 3. Stopping: nothing new is accepted, connections that wait for a request end, once what has
//!    arrived on them is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// The phase of one front end, for all who have to know; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    told: Arc<Told>,
    /// Each clone waits on tokens of its own, so that connections share no lock.
    draining: CancellationToken,
    stopping: CancellationToken,
}

/// The same as the tokens say, readable without a lock.
#[derive(Debug, Default)]
struct Told {
    draining: AtomicBool,
    stopping: AtomicBool,
}

impl Drain {
    /// For one connection.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            told: Arc::clone(&self.told),
            draining: self.draining.child_token(),
            stopping: self.stopping.child_token(),
        }
    }

    /// Begins to drain.
    pub fn begin(&self) {
        self.told.draining.store(true, Ordering::Release);
        self.draining.cancel();
    }

    /// Stops, whether or not it has begun to drain.
    pub fn stop(&self) {
        self.begin();
        self.told.stopping.store(true, Ordering::Release);
        self.stopping.cancel();
    }

    /// Whether connections are asked to end.
    pub fn is_draining(&self) -> bool {
        self.told.draining.load(Ordering::Acquire)
    }

    /// Whether connections without a request end.
    pub fn is_stopping(&self) -> bool {
        self.told.stopping.load(Ordering::Acquire)
    }

    /// Comes back when draining begins.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Comes back when nothing more is accepted.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}
