//! Settings of Postgres.

use super::Setting;

pub(super) const SETTINGS: &[Setting] = &[
    Setting::text(
        "postgres",
        "POSTGRES_CONNECTION",
        "postgres://postgres:postgres@localhost:5432/local?sslmode=disable",
        "Connection of the server, as a URL or in keyword/value form",
    )
    .or("HASURA_GRAPHQL_DATABASE_URL")
    .hidden(),
    Setting::secret(
        "postgres-migrations",
        "POSTGRES_MIGRATIONS_CONNECTION",
        "Connection of the migrations, which need more rights; empty means the same as the server's",
    ),
    Setting::int(
        "postgres-max-connections",
        "AUTH_POSTGRES_MAX_CONNECTIONS",
        "",
        "Most connections; unset means pool_max_conns of the connection, else 10",
    )
    .own(),
    Setting::int(
        "postgres-min-connections",
        "AUTH_POSTGRES_MIN_CONNECTIONS",
        "",
        "Connections kept open; unset means pool_min_conns of the connection, else 1",
    )
    .own(),
    Setting::duration(
        "postgres-acquire-timeout",
        "AUTH_POSTGRES_ACQUIRE_TIMEOUT",
        "5s",
        "Longest wait for a free connection",
    )
    .own(),
    Setting::duration(
        "postgres-statement-timeout",
        "AUTH_POSTGRES_STATEMENT_TIMEOUT",
        "10s",
        "Longest run of one statement",
    )
    .own(),
    Setting::choice(
        "storage-compatibility",
        "AUTH_STORAGE_COMPATIBILITY",
        &["reference", "keywright"],
        "",
        "Stored forms that are written; unset means reference on an adopted database, else keywright",
    )
    .own(),
];
