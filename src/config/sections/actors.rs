//! Supervision, admission and caches.

use std::time::Duration;

use crate::config::reading::Reader;
use crate::config::rows;

/// Supervision, admission and caches; all ours.
#[derive(Clone, Debug)]
pub struct ActorsConfig {
    /// `AUTH_ACTOR_MAX_RESTARTS`, default 10, in `restart_window`; past it the node drains and
    /// exits.
    pub max_restarts: u32,
    /// `AUTH_ACTOR_RESTART_WINDOW`, default 60 s.
    pub restart_window: Duration,
    /// `AUTH_ACTOR_BACKOFF_MIN`, default 20 ms; doubled at each failure.
    pub backoff_min: Duration,
    /// `AUTH_ACTOR_BACKOFF_MAX`, default 5 s.
    pub backoff_max: Duration,
    /// `AUTH_ACTOR_CALL_TIMEOUT`, default 5 s.
    pub call_timeout: Duration,
    /// `AUTH_SESSION_SHARDS`, default 1.
    pub session_shards: usize,
    /// `AUTH_SESSION_MAX_IN_FLIGHT`: refreshes in flight per shard before 503, default 8 192.
    pub session_max_in_flight: usize,
    /// `AUTH_SESSION_BATCH_MAX`: most rows of one statement, default 256.
    pub session_batch_max: usize,
    /// `AUTH_ACTOR_MAX_IN_FLIGHT`: calls in flight of actors that are rarely called, default 64.
    pub max_in_flight: usize,
    /// `AUTH_CHALLENGE_MAX_IN_FLIGHT`: a crowd comes at once, default 32 768.
    pub challenge_max_in_flight: usize,
    /// `AUTH_CHALLENGE_BATCH_MAX`, default 256.
    pub challenge_batch_max: usize,
    /// `AUTH_COURIER_CONCURRENCY`: deliveries at once, default 16.
    pub courier_concurrency: usize,
    /// `AUTH_SESSION_CACHE_MIB`, default 64.
    pub session_cache_mib: u64,
    /// `AUTH_USER_CACHE_MIB`, default 128.
    pub user_cache_mib: u64,
    /// `AUTH_LAST_SEEN_INTERVAL`: longest delay of `last_seen`, default 1 s.
    pub last_seen_interval: Duration,
}

impl ActorsConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let backoff_min = reader.duration(&rows::actors::ACTOR_BACKOFF_MIN, false);
        let backoff_max = reader.duration(&rows::actors::ACTOR_BACKOFF_MAX, false);
        if backoff_min > backoff_max {
            reader.refuse(
                &rows::actors::ACTOR_BACKOFF_MIN,
                "it must not be longer than AUTH_ACTOR_BACKOFF_MAX",
            );
        }
        Self {
            max_restarts: reader.number(&rows::actors::ACTOR_MAX_RESTARTS, 0..=1_000_000),
            restart_window: reader.duration(&rows::actors::ACTOR_RESTART_WINDOW, false),
            backoff_min,
            backoff_max,
            call_timeout: reader.duration(&rows::actors::ACTOR_CALL_TIMEOUT, false),
            session_shards: reader.number(&rows::actors::SESSION_SHARDS, 1..=1_024),
            session_max_in_flight: reader
                .number(&rows::actors::SESSION_MAX_IN_FLIGHT, 1..=1_000_000),
            // Postgres counts the parameters of a statement in 16 bits; the arrays in them may be
            // longer, but a batch holds its locks until it ends.
            session_batch_max: reader.number(&rows::actors::SESSION_BATCH_MAX, 1..=10_000),
            max_in_flight: reader.number(&rows::actors::ACTOR_MAX_IN_FLIGHT, 1..=1_000_000),
            challenge_max_in_flight: reader
                .number(&rows::actors::CHALLENGE_MAX_IN_FLIGHT, 1..=1_000_000),
            challenge_batch_max: reader.number(&rows::actors::CHALLENGE_BATCH_MAX, 1..=10_000),
            courier_concurrency: reader.number(&rows::actors::COURIER_CONCURRENCY, 1..=10_000),
            session_cache_mib: reader.number(&rows::actors::SESSION_CACHE_MIB, 1..=1 << 20),
            user_cache_mib: reader.number(&rows::actors::USER_CACHE_MIB, 1..=1 << 20),
            last_seen_interval: reader.duration(&rows::actors::LAST_SEEN_INTERVAL, false),
        }
    }
}
