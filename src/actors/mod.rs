//! The supervision tree: one file an actor, and what they share.

pub mod challenge_store;
pub mod cluster;
pub mod courier;
pub mod housekeeping;
pub mod key_rotator;
pub mod limits;
pub mod parts;
pub mod passwords;
pub mod runtime;
pub mod sessions;
pub mod signing_keys;
pub mod tree;
