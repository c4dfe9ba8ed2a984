//! Settings of Postgres.

use crate::settings::Setting;

pub(crate) const ROWS: &[Setting] = &[
    POSTGRES_CONNECTION,
    POSTGRES_MIGRATIONS_CONNECTION,
    POSTGRES_MAX_CONNECTIONS,
    POSTGRES_MIN_CONNECTIONS,
    POSTGRES_ACQUIRE_TIMEOUT,
    POSTGRES_START_TIMEOUT,
    POSTGRES_STATEMENT_TIMEOUT,
    STORAGE_COMPATIBILITY,
];

pub(crate) const POSTGRES_CONNECTION: Setting = Setting::text(
    "postgres",
    "POSTGRES_CONNECTION",
    "postgres://postgres:postgres@localhost:5432/local?sslmode=disable",
    "Connection of the server, as a URL or in keyword/value form",
)
.or("HASURA_GRAPHQL_DATABASE_URL")
.hidden();

pub(crate) const POSTGRES_MIGRATIONS_CONNECTION: Setting = Setting::secret(
    "postgres-migrations",
    "POSTGRES_MIGRATIONS_CONNECTION",
    "Connection of the migrations, which need more rights; empty means the same as the server's",
);

pub(crate) const POSTGRES_MAX_CONNECTIONS: Setting = Setting::int(
    "postgres-max-connections",
    "AUTH_POSTGRES_MAX_CONNECTIONS",
    "",
    "Most connections; unset means pool_max_conns of the connection, else 10",
)
.own();

pub(crate) const POSTGRES_MIN_CONNECTIONS: Setting = Setting::int(
    "postgres-min-connections",
    "AUTH_POSTGRES_MIN_CONNECTIONS",
    "",
    "Connections kept open; unset means pool_min_conns of the connection, else 1",
)
.own();

pub(crate) const POSTGRES_ACQUIRE_TIMEOUT: Setting = Setting::duration(
    "postgres-acquire-timeout",
    "AUTH_POSTGRES_ACQUIRE_TIMEOUT",
    "5s",
    "Longest wait for a free connection",
)
.own();

pub(crate) const POSTGRES_START_TIMEOUT: Setting = Setting::duration(
    "postgres-start-timeout",
    "AUTH_POSTGRES_START_TIMEOUT",
    "60s",
    "Longest wait at start for a Postgres that is not up yet; 0 means not to wait",
)
.own();

pub(crate) const POSTGRES_STATEMENT_TIMEOUT: Setting = Setting::duration(
    "postgres-statement-timeout",
    "AUTH_POSTGRES_STATEMENT_TIMEOUT",
    "10s",
    "Longest run of one statement",
)
.own();

pub(crate) const STORAGE_COMPATIBILITY: Setting = Setting::choice(
    "storage-compatibility",
    "AUTH_STORAGE_COMPATIBILITY",
    &["reference", "keywright"],
    "",
    "Stored forms that are written; unset means reference on an adopted database, else keywright",
)
.own();
