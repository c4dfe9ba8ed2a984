//! What every actor is made of: handles, supervisors, batchers, and their metrics.

pub mod handle;
pub mod lane;
pub mod observed;
pub mod supervisor;
