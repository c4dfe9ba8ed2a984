//! Metrics of stored signing keys.

use super::Counter;

/// What this node has done, and what went wrong.
#[derive(Debug, Default)]
pub struct SigningKeyStats {
    /// Next keys that were added by themselves.
    pub added: Counter,
    /// Rotations by themselves.
    pub rotated: Counter,
    /// Reads and steps that failed, and reads that found a key which cannot be opened.
    pub failed: Counter,
}
