//! Sessions and users as caches over Postgres, and the change feed that keeps them true.

pub mod cached_user;
pub mod change_feed;
pub mod claims_cache;
pub mod claims_reader;
pub mod claims_source;
pub mod feed_lease;
pub mod last_seen;
pub mod repeat_watch;
pub mod rotator;
pub mod session_cache;
pub mod session_registry;
pub mod session_shard;
pub mod user_cache;
pub mod users_at_hand;
