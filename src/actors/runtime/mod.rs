//! What every actor is made of: handles, supervisors, batchers, and their metrics.

pub mod batcher;
pub mod handle;
pub mod isolate;
pub mod observed;
pub mod supervisor;
pub mod tasks;
