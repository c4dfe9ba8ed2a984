//! Settings of supervision, admission and caches.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::int(
        "actor-max-restarts",
        "AUTH_ACTOR_MAX_RESTARTS",
        "10",
        "Restarts of an actor within the window before the node drains and exits",
    )
    .own()
    .tunable(),
    Setting::duration(
        "actor-restart-window",
        "AUTH_ACTOR_RESTART_WINDOW",
        "60s",
        "Window in which restarts are counted",
    )
    .own()
    .tunable(),
    Setting::duration(
        "actor-backoff-min",
        "AUTH_ACTOR_BACKOFF_MIN",
        "20ms",
        "Delay of the first restart, doubled at each failure",
    )
    .own()
    .tunable(),
    Setting::duration(
        "actor-backoff-max",
        "AUTH_ACTOR_BACKOFF_MAX",
        "5s",
        "Longest delay of a restart",
    )
    .own()
    .tunable(),
    Setting::duration(
        "actor-call-timeout",
        "AUTH_ACTOR_CALL_TIMEOUT",
        "5s",
        "Longest wait for an actor before the request is answered by 503",
    )
    .own()
    .tunable(),
    Setting::int("session-shards", "AUTH_SESSION_SHARDS", "1", "Actors that share the sessions")
        .own(),
    Setting::int(
        "session-max-in-flight",
        "AUTH_SESSION_MAX_IN_FLIGHT",
        "8192",
        "Refreshes in flight per shard before new ones are answered by 503",
    )
    .own()
    .tunable(),
    Setting::int(
        "session-batch-max",
        "AUTH_SESSION_BATCH_MAX",
        "256",
        "Most refreshes in one statement",
    )
    .own()
    .tunable(),
    Setting::int(
        "actor-max-in-flight",
        "AUTH_ACTOR_MAX_IN_FLIGHT",
        "64",
        "Calls in flight of each actor that has no setting of its own before new ones are answered by 503",
    )
    .own()
    .tunable(),
    Setting::int(
        "challenge-max-in-flight",
        "AUTH_CHALLENGE_MAX_IN_FLIGHT",
        "32768",
        "Passkey ceremonies that may wait to be stored before new ones are answered by 503",
    )
    .own()
    .tunable(),
    Setting::int(
        "challenge-batch-max",
        "AUTH_CHALLENGE_BATCH_MAX",
        "256",
        "Most passkey ceremonies stored by one statement",
    )
    .own()
    .tunable(),
    Setting::int(
        "courier-concurrency",
        "AUTH_COURIER_CONCURRENCY",
        "16",
        "Mails that are delivered at once; others wait in the outbox",
    )
    .own()
    .tunable(),
    Setting::int(
        "session-cache-mib",
        "AUTH_SESSION_CACHE_MIB",
        "64",
        "Memory of the cache of sessions, in MiB",
    )
    .own(),
    Setting::int(
        "user-cache-mib",
        "AUTH_USER_CACHE_MIB",
        "128",
        "Memory of the cache of users, in MiB",
    )
    .own(),
    Setting::duration(
        "last-seen-interval",
        "AUTH_LAST_SEEN_INTERVAL",
        "1s",
        "Longest delay until last_seen is written",
    )
    .own(),
];
