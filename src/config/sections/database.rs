//! Postgres.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::config::reading::{ConfigErrors, Reader, Sources};
use crate::config::rows;

/// Which stored forms are written (README.md, "Side by side, and going back").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageCompatibility {
    /// All that the reference must read after a roll-back is written its way.
    Reference,
    /// The stronger forms are written; old forms are read for ever.
    Keywright,
}

/// Postgres.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `POSTGRES_CONNECTION` or `HASURA_GRAPHQL_DATABASE_URL`; a pgx-style URL or keyword/value
    /// string.
    pub url: SecretString,
    /// `POSTGRES_MIGRATIONS_CONNECTION`; empty means `url`.
    pub migrations_url: Option<SecretString>,
    /// `AUTH_POSTGRES_MAX_CONNECTIONS` (ours), default 10 or `pool_max_conns` of the URL.
    pub max_connections: u32,
    /// `AUTH_POSTGRES_MIN_CONNECTIONS` (ours), default 1 or `pool_min_conns` of the URL.
    pub min_connections: u32,
    /// `AUTH_POSTGRES_ACQUIRE_TIMEOUT` (ours), default 5 s.
    pub acquire_timeout: Duration,
    /// `AUTH_POSTGRES_START_TIMEOUT` (ours), default 60 s; zero: no wait.
    pub start_timeout: Duration,
    /// `AUTH_POSTGRES_STATEMENT_TIMEOUT` (ours), default 10 s.
    pub statement_timeout: Duration,
    /// `AUTH_STORAGE_COMPATIBILITY` (ours); `None`: by the origin of the database.
    pub storage: Option<StorageCompatibility>,
}

/// The reference never runs with fewer, whatever the connection says.
const LEAST_POOL: u32 = 4;
const MOST_POOL: u32 = 10_000;

impl DatabaseConfig {
    /// Only this part, for commands that need a database and nothing else.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        reader.checked(config)
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let url = reader.secret(&rows::database::POSTGRES_CONNECTION);
        let named = |parameter| pool_parameter(url.expose_secret(), parameter);
        let max_connections = reader
            .optional_number(&rows::database::POSTGRES_MAX_CONNECTIONS, 1..=MOST_POOL)
            .or_else(|| named("pool_max_conns").map(|most| most.clamp(LEAST_POOL, MOST_POOL)))
            .unwrap_or(10);
        let min_connections = reader
            .optional_number(&rows::database::POSTGRES_MIN_CONNECTIONS, 0..=MOST_POOL)
            .or_else(|| named("pool_min_conns").map(|least| least.clamp(1, max_connections)))
            .unwrap_or(1);
        if min_connections > max_connections {
            reader.refuse(
                &rows::database::POSTGRES_MIN_CONNECTIONS,
                format!("{min_connections} is more than the most connections, {max_connections}"),
            );
        }
        Self {
            migrations_url: reader.optional_secret(&rows::database::POSTGRES_MIGRATIONS_CONNECTION),
            max_connections,
            min_connections,
            acquire_timeout: reader.duration(&rows::database::POSTGRES_ACQUIRE_TIMEOUT, false),
            start_timeout: reader.duration(&rows::database::POSTGRES_START_TIMEOUT, true),
            statement_timeout: reader.duration(&rows::database::POSTGRES_STATEMENT_TIMEOUT, false),
            storage: match reader.choice(&rows::database::STORAGE_COMPATIBILITY) {
                Some("reference") => Some(StorageCompatibility::Reference),
                Some(_) => Some(StorageCompatibility::Keywright),
                None => None,
            },
            url,
        }
    }
}

/// A number among the pool's parameters of a connection, in its URL or keyword/value form.
fn pool_parameter(connection: &str, name: &str) -> Option<u32> {
    let is_url =
        ["postgres://", "postgresql://"].iter().any(|scheme| connection.starts_with(scheme));
    let pairs = if is_url { connection.split_once('?')?.1 } else { connection };
    pairs
        .split(|c: char| if is_url { c == '&' } else { c.is_whitespace() })
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| *key == name)
        .find_map(|(_, value)| value.trim_matches('\'').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<DatabaseConfig, ConfigErrors> {
        DatabaseConfig::from_sources(&Sources::from_env(variables.iter().copied()))
    }

    #[test]
    fn pool_sizes_come_from_settings_then_from_the_connection() {
        let of = |variables: &[(&str, &str)]| {
            let config = read(variables).unwrap();
            (config.max_connections, config.min_connections)
        };
        let url = "postgres://u:p@h/db?sslmode=disable&pool_max_conns=20&pool_min_conns=3";
        let text = "host=h password='a b' pool_max_conns=20 pool_min_conns='3'";
        assert_eq!(of(&[]), (10, 1));
        assert_eq!(of(&[("POSTGRES_CONNECTION", url)]), (20, 3));
        assert_eq!(of(&[("POSTGRES_CONNECTION", text)]), (20, 3));
        assert_eq!(
            of(&[("POSTGRES_CONNECTION", url), ("AUTH_POSTGRES_MAX_CONNECTIONS", "7")]),
            (7, 3)
        );
        assert_eq!(of(&[("POSTGRES_CONNECTION", "postgres://h/db?pool_max_conns=1")]), (4, 1));
    }

    #[test]
    fn a_present_but_empty_connection_wins_over_the_alias() {
        let alias = ("HASURA_GRAPHQL_DATABASE_URL", "postgres://alias/db");
        assert_eq!(read(&[alias]).unwrap().url.expose_secret(), "postgres://alias/db");
        let config = read(&[("POSTGRES_CONNECTION", ""), alias]).unwrap();
        assert_eq!(config.url.expose_secret(), "");
        assert!(read(&[]).unwrap().url.expose_secret().starts_with("postgres://postgres:"));
    }

    #[test]
    fn more_idle_connections_than_connections_are_refused() {
        let both = [("AUTH_POSTGRES_MIN_CONNECTIONS", "9"), ("AUTH_POSTGRES_MAX_CONNECTIONS", "8")];
        let errors = read(&both).unwrap_err();
        assert!(errors.to_string().contains("AUTH_POSTGRES_MIN_CONNECTIONS"), "{errors}");
    }

    #[test]
    fn no_connection_string_is_ever_shown() {
        let config = read(&[("POSTGRES_CONNECTION", "postgres://u:hunter2@h/db")]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
