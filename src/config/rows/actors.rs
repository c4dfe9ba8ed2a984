//! Settings of supervision, admission and caches.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    ACTOR_MAX_RESTARTS,
    ACTOR_RESTART_WINDOW,
    ACTOR_BACKOFF_MIN,
    ACTOR_BACKOFF_MAX,
    ACTOR_CALL_TIMEOUT,
    SESSION_SHARDS,
    SESSION_MAX_IN_FLIGHT,
    SESSION_BATCH_MAX,
    ACTOR_MAX_IN_FLIGHT,
    CHALLENGE_MAX_IN_FLIGHT,
    CHALLENGE_BATCH_MAX,
    COURIER_CONCURRENCY,
    SESSION_CACHE_MIB,
    USER_CACHE_MIB,
    LAST_SEEN_INTERVAL,
];

pub(crate) const ACTOR_MAX_RESTARTS: Setting = Setting::int(
    "actor-max-restarts",
    "AUTH_ACTOR_MAX_RESTARTS",
    "10",
    "Restarts of an actor within the window before the node drains and exits",
)
.own()
.tunable();

pub(crate) const ACTOR_RESTART_WINDOW: Setting = Setting::duration(
    "actor-restart-window",
    "AUTH_ACTOR_RESTART_WINDOW",
    "60s",
    "Window in which restarts are counted",
)
.own()
.tunable();

pub(crate) const ACTOR_BACKOFF_MIN: Setting = Setting::duration(
    "actor-backoff-min",
    "AUTH_ACTOR_BACKOFF_MIN",
    "20ms",
    "Delay of the first restart, doubled at each failure",
)
.own()
.tunable();

pub(crate) const ACTOR_BACKOFF_MAX: Setting = Setting::duration(
    "actor-backoff-max",
    "AUTH_ACTOR_BACKOFF_MAX",
    "5s",
    "Longest delay of a restart",
)
.own()
.tunable();

pub(crate) const ACTOR_CALL_TIMEOUT: Setting = Setting::duration(
    "actor-call-timeout",
    "AUTH_ACTOR_CALL_TIMEOUT",
    "5s",
    "Longest wait for an actor before the request is refused with 503",
)
.own()
.tunable();

pub(crate) const SESSION_SHARDS: Setting =
    Setting::int("session-shards", "AUTH_SESSION_SHARDS", "1", "Actors that share the sessions")
        .own();

pub(crate) const SESSION_MAX_IN_FLIGHT: Setting = Setting::int(
    "session-max-in-flight",
    "AUTH_SESSION_MAX_IN_FLIGHT",
    "8192",
    "Refreshes in flight per shard before new ones are refused with 503",
)
.own()
.tunable();

pub(crate) const SESSION_BATCH_MAX: Setting = Setting::int(
    "session-batch-max",
    "AUTH_SESSION_BATCH_MAX",
    "256",
    "Most refreshes in one statement",
)
.own()
.tunable();

pub(crate) const ACTOR_MAX_IN_FLIGHT: Setting = Setting::int(
        "actor-max-in-flight",
        "AUTH_ACTOR_MAX_IN_FLIGHT",
        "64",
        "Calls in flight of each actor that has no setting of its own before new ones are refused with 503",
    )
    .own()
    .tunable();

pub(crate) const CHALLENGE_MAX_IN_FLIGHT: Setting = Setting::int(
    "challenge-max-in-flight",
    "AUTH_CHALLENGE_MAX_IN_FLIGHT",
    "32768",
    "Passkey ceremonies that may wait to be stored before new ones are refused with 503",
)
.own()
.tunable();

pub(crate) const CHALLENGE_BATCH_MAX: Setting = Setting::int(
    "challenge-batch-max",
    "AUTH_CHALLENGE_BATCH_MAX",
    "256",
    "Most passkey ceremonies stored by one statement",
)
.own()
.tunable();

pub(crate) const COURIER_CONCURRENCY: Setting = Setting::int(
    "courier-concurrency",
    "AUTH_COURIER_CONCURRENCY",
    "16",
    "Mails that are delivered at once; others wait in the outbox",
)
.own()
.tunable();

pub(crate) const SESSION_CACHE_MIB: Setting = Setting::int(
    "session-cache-mib",
    "AUTH_SESSION_CACHE_MIB",
    "64",
    "Memory of the cache of sessions, in MiB",
)
.own();

pub(crate) const USER_CACHE_MIB: Setting = Setting::int(
    "user-cache-mib",
    "AUTH_USER_CACHE_MIB",
    "128",
    "Memory of the cache of users, in MiB",
)
.own();

pub(crate) const LAST_SEEN_INTERVAL: Setting = Setting::duration(
    "last-seen-interval",
    "AUTH_LAST_SEEN_INTERVAL",
    "1s",
    "Longest delay until last_seen is written",
)
.own();
