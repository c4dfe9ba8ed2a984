//! Reads what operators already have: pgx-style URLs and libpq keyword/value strings.

mod parameters;
mod syntax;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use url::form_urlencoded::Serializer;

use self::parameters::Rule;
use self::tls::TlsFiles;
use crate::persistence::session::SessionSettings;
use crate::settings::value::parse_duration;

/// A connection string, understood.
#[derive(Clone)]
pub struct ConnectionString {
    /// Where and as whom to connect.
    pub options: PgConnectOptions,
    /// The pgx pool parameters that the string carried.
    pub pool: PoolParameters,
    /// What to set once connected: poolers refuse most of what comes with the start-up message.
    pub session: SessionSettings,
    /// The longest wait for a connection (`connect_timeout`); `None`: as long as it takes.
    pub connect_timeout: Option<Duration>,
    tls: TlsFiles,
}

/// Without what the options know, the password.
impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionString").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// `pool_*` parameters of a pgx-style connection string; `None` where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolParameters {
    /// `pool_max_conns`.
    pub max_connections: Option<u32>,
    /// `pool_min_conns`.
    pub min_connections: Option<u32>,
    /// `pool_max_conn_lifetime`.
    pub max_lifetime: Option<Duration>,
    /// `pool_max_conn_idle_time`.
    pub idle_timeout: Option<Duration>,
}

/// Why a connection string cannot be used; never contains any of it but names that we know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConnectionStringError {
    #[error("it is neither a postgres:// URL nor keyword=value pairs ({0})")]
    Syntax(&'static str),
    #[error("parameter `{name}` must be {expected}")]
    Parameter { name: &'static str, expected: &'static str },
    #[error("parameter `{name}` is not supported with this value: {reason}")]
    Unsupported { name: &'static str, reason: &'static str },
    #[error("a parameter has a name that no parameter has (a quote or a blank too many?)")]
    Name,
    #[error("parameter `{name}`: {path}: {cause}")]
    File { name: &'static str, path: String, cause: String },
}

impl ConnectionString {
    /// Parses either form; what is missing comes from the `PG*` variables, as everywhere in Postgres.
    /// No file is looked at.
    pub fn parse(text: &SecretString) -> Result<Self, ConnectionStringError> {
        let mut read = Read::default();
        for (name, value) in syntax::pairs(text.expose_secret())? {
            read.apply(&name, value)?;
        }
        read.finish()
    }

    /// Whether the files can be used that it names for TLS.
    pub fn check_files(&self) -> Result<(), ConnectionStringError> {
        self.tls.check()
    }

    /// One connection outside the pool, with the settings that the string asks for.
    pub async fn connect(&self) -> sqlx::Result<PgConnection> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            self.session.apply(&mut connection, &[]).await?;
            Ok(connection)
        };
        match self.connect_timeout {
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .unwrap_or_else(|_late| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
            None => connecting.await,
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Read {
    host: Option<String>,
    hostaddr: Option<String>,
    port: Option<String>,
    user: Option<String>,
    password: Option<String>,
    database: Option<String>,
    application_name: Option<String>,
    fallback_application_name: Option<String>,
    /// Words for the start-up message.
    startup: Vec<String>,
    session: Vec<(String, String)>,
    statement_cache: Option<usize>,
    connect_timeout: Option<Duration>,
    pool: PoolParameters,
    tls: tls::Given,
}

impl Read {
    fn apply(&mut self, name: &str, value: String) -> Result<(), ConnectionStringError> {
        let Some((name, rule)) = parameters::find(name) else {
            return self.set(name.to_owned(), value);
        };
        match rule {
            Rule::Used => self.take(name, value),
            Rule::Harmless(_) => Ok(()),
            Rule::Only(values, _) if values.contains(&value.as_str()) => {
                match (name, value.as_str()) {
                    ("ssl", _) => self.tls.mode = Some("require".to_owned()),
                    ("statement_cache_mode", "describe") => self.cache_statements(0),
                    _ => {}
                }
                Ok(())
            }
            Rule::Only(_, reason) | Rule::Refused(reason) => {
                Err(ConnectionStringError::Unsupported { name, reason })
            }
        }
    }

    /// A setting of the session, `search_path` for example.
    fn set(&mut self, name: String, value: String) -> Result<(), ConnectionStringError> {
        let is_name = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            && name.chars().all(|c| matches!(c, '_' | '.') || c.is_ascii_alphanumeric());
        if !is_name {
            return Err(ConnectionStringError::Name);
        }
        self.session.push((name, value));
        Ok(())
    }

    fn take(&mut self, name: &'static str, value: String) -> Result<(), ConnectionStringError> {
        let wrong = |expected| ConnectionStringError::Parameter { name, expected };
        let number = || value.parse().map_err(|_| wrong("a number"));
        let duration =
            || parse_duration(&value).map_err(|_| wrong("a duration such as 30m or 1h30m"));
        match name {
            "host" => self.host = Some(first_of(name, &value).to_owned()),
            "hostaddr" => {
                let first = first_of(name, &value);
                if first.parse::<std::net::IpAddr>().is_err() {
                    return Err(wrong("an IP address"));
                }
                self.hostaddr = Some(first.to_owned());
            }
            "port" => {
                let first = first_of(name, &value);
                if first.parse::<u16>().is_err() {
                    return Err(wrong("a port number"));
                }
                self.port = Some(first.to_owned());
            }
            "user" => self.user = Some(value),
            "password" => self.password = Some(value),
            "dbname" | "database" => self.database = Some(value),
            "application_name" => self.application_name = Some(value),
            "fallback_application_name" => self.fallback_application_name = Some(value),
            "sslmode" => self.tls.mode = Some(value),
            "sslrootcert" => self.tls.root = Some(value),
            "sslcert" => self.tls.certificate = Some(value),
            "sslkey" => self.tls.key = Some(value),
            "options" => {
                let switches = syntax::switches(&value)
                    .ok_or_else(|| wrong("a list of `-c name=value`, blanks in values as `\\ `"))?;
                self.startup.extend(switches.others);
                for (name, value) in switches.settings {
                    self.set(name, value)?;
                }
            }
            "connect_timeout" => {
                let seconds: i64 = value.parse().map_err(|_| wrong("a number of seconds"))?;
                let seconds = u64::try_from(seconds).unwrap_or(0);
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "statement_cache_capacity" => {
                self.cache_statements(value.parse().map_err(|_| wrong("a number"))?);
            }
            "default_query_exec_mode" => match value.as_str() {
                "cache_statement" => {}
                "cache_describe" | "describe_exec" | "exec" => self.cache_statements(0),
                _ => {
                    return Err(ConnectionStringError::Unsupported {
                        name,
                        reason: "it is one of cache_statement, cache_describe, describe_exec, exec",
                    });
                }
            },
            "pool_max_conns" => self.pool.max_connections = Some(number()?),
            "pool_min_conns" => self.pool.min_connections = Some(number()?),
            "pool_max_conn_lifetime" => self.pool.max_lifetime = Some(duration()?),
            "pool_max_conn_idle_time" => self.pool.idle_timeout = Some(duration()?),
            _ => unreachable!("a test takes every parameter that is used"),
        }
        Ok(())
    }

    /// Without a cache sqlx would leave every statement behind in the session, by a name that it
    /// forgets. With room for one it closes each when the next comes.
    fn cache_statements(&mut self, capacity: usize) {
        self.statement_cache = Some(capacity.max(1));
    }

    fn finish(self) -> Result<ConnectionString, ConnectionStringError> {
        let host = match (self.host.filter(|host| !host.is_empty()), self.hostaddr) {
            (Some(host), Some(address)) if host != address => {
                return Err(ConnectionStringError::Unsupported {
                    name: "hostaddr",
                    reason: "the address of a host is looked up; write one of host and hostaddr",
                });
            }
            (host, address) => host.or(address),
        };
        // sqlx reads the password file for the right server, and takes words of `options` as they
        // are, only where all comes in a URL.
        let mut query = Serializer::new(String::new());
        let startup = self.startup.join(" ");
        for (name, value) in [
            ("host", &host),
            ("port", &self.port),
            ("user", &self.user),
            ("password", &self.password),
            ("dbname", &self.database),
            ("options", &(!startup.is_empty()).then_some(startup)),
        ] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                query.append_pair(name, value);
            }
        }
        let mut options: PgConnectOptions = format!("postgres:///?{}", query.finish())
            .parse()
            .map_err(|_cause| ConnectionStringError::Syntax("host, port or user"))?;
        // Poolers know this parameter as little as `options`; `SessionSettings` has it.
        options = options.extra_float_digits(None);
        if let Some(capacity) = self.statement_cache {
            options = options.statement_cache_capacity(capacity);
        }
        if let Some(name) = self.application_name.as_deref().filter(|name| !name.is_empty()) {
            options = options.application_name(name);
        } else if options.get_application_name().is_none() {
            let name = self.fallback_application_name.filter(|name| !name.is_empty());
            options = options.application_name(name.as_deref().unwrap_or("keywright"));
        }
        let (options, tls) = self.tls.apply(options)?;
        Ok(ConnectionString {
            options,
            pool: self.pool,
            session: SessionSettings::new(self.session),
            connect_timeout: self.connect_timeout,
            tls,
        })
    }
}

/// Fail-over lists (`a,b`) are not supported; the first entry is the one used.
fn first_of<'a>(name: &str, value: &'a str) -> &'a str {
    match value.split_once(',') {
        Some((first, _rest)) => {
            tracing::warn!(parameter = name, "several servers are configured: using the first");
            first
        }
        None => value,
    }
}
