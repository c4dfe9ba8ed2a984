//! Settings of passwords and their hashes.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    PASSWORD_MIN_LENGTH,
    PASSWORD_CHANGE_ENDS,
    PASSWORD_ARGON2_MEMORY_KIB,
    PASSWORD_ARGON2_ITERATIONS,
    PASSWORD_ARGON2_PARALLELISM,
    PASSWORD_BCRYPT_COST,
    PASSWORD_HASH_THREADS,
    PASSWORD_HASH_QUEUE,
    PASSWORD_HASH_LEAST_SHARE,
];

pub(crate) const PASSWORD_MIN_LENGTH: Setting = Setting::int(
    "password-min-length",
    "AUTH_PASSWORD_MIN_LENGTH",
    "3",
    "Shortest password, in bytes; the API itself wants at least 3 characters",
)
.live();

pub(crate) const PASSWORD_CHANGE_ENDS: Setting = Setting::choice(
    "password-change-ends",
    "AUTH_PASSWORD_CHANGE_ENDS",
    &["nothing", "sessions", "sessions-and-pats", "everything"],
    "sessions",
    "What a new password ends: the user's other sessions; also personal access tokens; also security keys (but for the one that the session came from) and identities at providers. A reset by mail ends sessions in any case",
)
.own()
.live();

pub(crate) const PASSWORD_ARGON2_MEMORY_KIB: Setting = Setting::int(
    "password-argon2-memory-kib",
    "AUTH_PASSWORD_ARGON2_MEMORY_KIB",
    "19456",
    "Memory of one argon2id hash, in KiB",
)
.own();

pub(crate) const PASSWORD_ARGON2_ITERATIONS: Setting = Setting::int(
    "password-argon2-iterations",
    "AUTH_PASSWORD_ARGON2_ITERATIONS",
    "2",
    "Passes of one argon2id hash",
)
.own();

pub(crate) const PASSWORD_ARGON2_PARALLELISM: Setting = Setting::int(
    "password-argon2-parallelism",
    "AUTH_PASSWORD_ARGON2_PARALLELISM",
    "1",
    "Lanes of one argon2id hash",
)
.own();

pub(crate) const PASSWORD_BCRYPT_COST: Setting = Setting::int(
    "password-bcrypt-cost",
    "AUTH_PASSWORD_BCRYPT_COST",
    "10",
    "Cost of bcrypt hashes, which are written for the reference to read",
)
.own();

pub(crate) const PASSWORD_HASH_THREADS: Setting = Setting::int(
    "password-hash-threads",
    "AUTH_PASSWORD_HASH_THREADS",
    "",
    "Hashes computed at once; unset means one less than there are cores, and at least one",
)
.own()
.tunable();

pub(crate) const PASSWORD_HASH_QUEUE: Setting = Setting::int(
    "password-hash-queue",
    "AUTH_PASSWORD_HASH_QUEUE",
    "256",
    "Hashes that may wait; past it, the client network with the most is refused with 503",
)
.own()
.tunable();

pub(crate) const PASSWORD_HASH_LEAST_SHARE: Setting = Setting::int(
        "password-hash-least-share",
        "AUTH_PASSWORD_HASH_LEAST_SHARE",
        "75",
        "Part of the time, in percent, for which hashes run even while threads that serve refreshes wait for a core; 100 lets them run at all times",
    )
    .own()
    .tunable();
