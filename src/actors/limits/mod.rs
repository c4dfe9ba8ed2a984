//! Rate limits: the counters, and the actor that owns their life.

pub mod counter_store;
pub mod counters;
pub mod pending_attempts;
pub mod rate_limiter;
