//! The supervision tree: one file an actor, and what they share.

pub mod challenge_store;
pub mod courier;
pub mod janitor;
pub mod key_rotator;
pub mod limits;
pub mod passwords;
pub mod runtime;
pub mod sessions;
