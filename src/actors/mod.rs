//! The supervision tree: one file an actor, and what they share.

pub mod cached_user;
pub mod challenge_store;
pub mod change_feed;
pub mod counters;
pub mod courier;
pub mod handle;
pub mod hash_pace;
pub mod janitor;
pub mod key_rotator;
pub mod lane;
pub mod observed;
pub mod password_hasher;
pub mod rate_limiter;
pub mod session_cache;
pub mod session_registry;
pub mod session_shard;
pub mod supervisor;
