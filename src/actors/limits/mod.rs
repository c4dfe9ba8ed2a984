//! Rate limits: the counters, and the actor that counts for all nodes.

pub mod attempt_ledger;
pub mod counter_key;
pub mod counter_store;
pub mod counters;
mod exchange;
pub mod messages;
pub mod pending_attempts;
pub mod rate_limiter;
pub mod reach;
