//! What a run obeys, and where it says how it is getting on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;

/// The same for all parts of a run.
#[derive(Clone, Debug)]
pub struct Control {
    /// Becomes true when the run is to end with what it has.
    pub stop: Arc<AtomicBool>,
    /// Writes a line for people beside the results.
    pub note: fn(&str),
}

impl Control {
    /// Of a run that nobody has stopped yet.
    pub fn new(note: fn(&str)) -> Self {
        Self { stop: Arc::new(AtomicBool::new(false)), note }
    }

    /// Whether the run is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// An error once the run is to end, for what comes before the first measurement.
    pub fn go_on(&self) -> anyhow::Result<()> {
        ensure!(!self.is_stopped(), "interrupted before anything was measured");
        Ok(())
    }
}
