//! How a front end comes to its end without losing a request.
//!
//! 1. Serving.
//! 2. Draining: everything is served, new connections too, but each connection is asked to end:
//!    over HTTP/1 by `Connection: close` on its next response, over HTTP/2 by GOAWAY. Whoever looks
//!    at `/healthz` moves away. No connection is ended that a client may be about to use.
//! 3. Stopping: nothing new is accepted, connections that wait for a request end, once what has
//!    arrived on them has its response.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// How far one front end has come, and who tells it.
#[derive(Clone, Debug, Default)]
pub struct Drain {
    phase: Phase,
    draining: CancellationToken,
    stopping: CancellationToken,
}

/// The same, to be read in every request: no lock, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<PhaseFlags>);

#[derive(Debug, Default)]
struct PhaseFlags {
    draining: AtomicBool,
    stopping: AtomicBool,
}

impl Phase {
    /// Whether connections are asked to end.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Whether connections without a request end.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Acquire)
    }
}

impl Drain {
    /// For one connection, which waits without sharing a lock with others.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            phase: self.phase.clone(),
            draining: self.draining.child_token(),
            stopping: self.stopping.child_token(),
        }
    }

    /// The phase, as it is whenever it is looked at.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Begins to drain.
    pub fn begin(&self) {
        self.phase.0.draining.store(true, Ordering::Release);
        self.draining.cancel();
    }

    /// Stops, whether or not it has begun to drain.
    pub fn stop(&self) {
        self.begin();
        self.phase.0.stopping.store(true, Ordering::Release);
        self.stopping.cancel();
    }

    /// Returns when draining begins.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Returns when nothing more is accepted.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }
}
