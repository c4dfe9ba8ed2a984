//! Reads what operators already have: pgx-style URLs and libpq keyword/value strings.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use crate::settings::value::parse_duration;

/// A connection string, understood.
#[derive(Clone, Debug)]
pub struct ConnectionString {
    /// Where and as whom to connect.
    pub options: PgConnectOptions,
    /// The pgx pool parameters that the string carried.
    pub pool: PoolParameters,
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

/// Why a connection string cannot be used; never contains the string, which has a password in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConnectionStringError {
    #[error("it is neither a postgres:// URL nor keyword=value pairs ({0})")]
    Syntax(String),
    #[error("parameter `{name}` must be {expected}")]
    Parameter { name: String, expected: &'static str },
}

/// Parameters of other drivers that have no meaning here.
const OTHER_DRIVERS: [&str; 19] = [
    "binary_parameters",
    "channel_binding",
    "connect_timeout",
    "default_query_exec_mode",
    "description_cache_capacity",
    "fallback_application_name",
    "gssencmode",
    "krbspn",
    "krbsrvname",
    "passfile",
    "pool_health_check_period",
    "pool_max_conn_lifetime_jitter",
    "pool_min_idle_conns",
    "service",
    "servicefile",
    "sslpassword",
    "sslsni",
    "statement_cache_capacity",
    "target_session_attrs",
];

impl ConnectionString {
    /// Parses either form; what is missing comes from the `PG*` variables, as everywhere in Postgres.
    pub fn parse(text: &SecretString) -> Result<Self, ConnectionStringError> {
        let text = text.expose_secret().trim();
        let pairs = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            pairs_of_url(text)?
        } else {
            pairs_of_keywords(text)?
        };
        let mut parsed = Self { options: PgConnectOptions::new(), pool: PoolParameters::default() };
        for (name, value) in &pairs {
            parsed.apply(name, value)?;
        }
        if parsed.options.get_application_name().is_none() {
            parsed.options = parsed.options.application_name("keywright");
        }
        Ok(parsed)
    }

    fn apply(&mut self, name: &str, value: &str) -> Result<(), ConnectionStringError> {
        let wrong = |expected| ConnectionStringError::Parameter { name: name.to_owned(), expected };
        let options = self.options.clone();
        self.options = match name {
            "host" | "hostaddr" => {
                let first = first_of(name, value);
                if first.starts_with('/') { options.socket(first) } else { options.host(first) }
            }
            "port" => {
                options.port(first_of(name, value).parse().map_err(|_| wrong("a port number"))?)
            }
            "user" => options.username(value),
            "password" => options.password(value),
            "dbname" | "database" => options.database(value),
            "application_name" => options.application_name(value),
            "sslmode" => options.ssl_mode(value.parse::<PgSslMode>().map_err(|_| {
                wrong("one of disable, allow, prefer, require, verify-ca, verify-full")
            })?),
            "sslrootcert" => options.ssl_root_cert(value),
            "sslcert" => options.ssl_client_cert(value),
            "sslkey" => options.ssl_client_key(value),
            "options" => {
                options.options(switches(value).ok_or_else(|| wrong("a list of `-c name=value`"))?)
            }
            "pool_max_conns" => {
                self.pool.max_connections = Some(value.parse().map_err(|_| wrong("a number"))?);
                options
            }
            "pool_min_conns" => {
                self.pool.min_connections = Some(value.parse().map_err(|_| wrong("a number"))?);
                options
            }
            "pool_max_conn_lifetime" => {
                self.pool.max_lifetime =
                    Some(parse_duration(value).map_err(|_| wrong("a duration such as 1h30m"))?);
                options
            }
            "pool_max_conn_idle_time" => {
                self.pool.idle_timeout =
                    Some(parse_duration(value).map_err(|_| wrong("a duration such as 30m"))?);
                options
            }
            other if OTHER_DRIVERS.contains(&other) => options,
            // As pgx does: everything else is a setting of the session, `search_path` for example.
            other => options.options([(other, value)]),
        };
        Ok(())
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

fn pairs_of_url(text: &str) -> Result<Vec<(String, String)>, ConnectionStringError> {
    let syntax = |cause: &dyn std::fmt::Display| ConnectionStringError::Syntax(cause.to_string());
    let url = Url::parse(&without_further_hosts(text)).map_err(|e| syntax(&e))?;
    let host = url.host_str().unwrap_or_default();
    let parts = [
        ("host", host.trim_start_matches('[').trim_end_matches(']')),
        ("user", url.username()),
        ("password", url.password().unwrap_or_default()),
        ("dbname", url.path().trim_start_matches('/')),
    ];
    let mut pairs = Vec::new();
    for (name, part) in parts {
        if !part.is_empty() {
            pairs.push((name.to_owned(), percent_decoded(part)));
        }
    }
    if let Some(port) = url.port() {
        pairs.push(("port".to_owned(), port.to_string()));
    }
    pairs.extend(url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())));
    Ok(pairs)
}

/// Outside the query a `+` is a plus and a `&` an ampersand, unlike in forms.
fn percent_decoded(part: &str) -> String {
    let escaped = part.replace('+', "%2B").replace('&', "%26");
    url::form_urlencoded::parse(format!("={escaped}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// `scheme://user@a:1,b:2/db` with only the first host, because URLs proper have one.
fn without_further_hosts(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(u, h)| (u, h));
    let at = if user.is_empty() { "" } else { "@" };
    format!("{scheme}://{user}{at}{}{tail}", first_of("host", hosts))
}

/// `key = value key='quoted \' value'`, libpq's other form.
fn pairs_of_keywords(text: &str) -> Result<Vec<(String, String)>, ConnectionStringError> {
    let wrong = |what: &str| ConnectionStringError::Syntax(what.to_owned());
    let mut rest = text;
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| wrong("a word without `=`"))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong("a word without `=`"));
        }
        let (value, after) =
            keyword_value(after.trim_start()).ok_or_else(|| wrong("a quote is not closed"))?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

fn keyword_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// `-c a=b --c=d` as pairs.
fn switches(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word {
            "-c" => words.next()?,
            _ => word.strip_prefix("--").or_else(|| word.strip_prefix("-c"))?,
        };
        let (name, value) = setting.split_once('=')?;
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Some(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
        ConnectionString::parse(&SecretString::from(text))
    }

    #[test]
    fn a_pgx_url_gives_up_its_pool_parameters() {
        let parsed = parse(
            "postgres://me:p%40ss%2Fw+d@db.example:6432/local?sslmode=disable&pool_max_conns=42\
             &pool_min_conns=3&pool_max_conn_lifetime=1h30m&pool_max_conn_idle_time=90s\
             &pool_health_check_period=1m&search_path=app,public&target_session_attrs=any",
        )
        .unwrap();
        assert_eq!(parsed.options.get_host(), "db.example");
        assert_eq!(parsed.options.get_port(), 6432);
        assert_eq!(parsed.options.get_username(), "me");
        assert_eq!(parsed.options.get_database(), Some("local"));
        assert_eq!(parsed.options.get_application_name(), Some("keywright"));
        assert_eq!(parsed.options.get_options(), Some("-c search_path=app,public"));
        assert!(matches!(parsed.options.get_ssl_mode(), PgSslMode::Disable));
        let url = format!("{:?}", parsed.options);
        assert!(url.contains("p@ss/w+d"), "password decoded: {url}");
        assert_eq!(
            parsed.pool,
            PoolParameters {
                max_connections: Some(42),
                min_connections: Some(3),
                max_lifetime: Some(Duration::from_mins(90)),
                idle_timeout: Some(Duration::from_secs(90)),
            }
        );
    }

    #[test]
    fn keyword_value_strings_work_with_quotes_and_escapes() {
        let parsed = parse(
            r"host=/var/run/postgresql port = 5433 user='o\'neil' dbname='a b' options='-c geqo=off'",
        )
        .unwrap();
        assert_eq!(parsed.options.get_socket().unwrap().to_str(), Some("/var/run/postgresql"));
        assert_eq!(parsed.options.get_port(), 5433);
        assert_eq!(parsed.options.get_username(), "o'neil");
        assert_eq!(parsed.options.get_database(), Some("a b"));
        assert_eq!(parsed.options.get_options(), Some("-c geqo=off"));
    }

    #[test]
    fn sockets_and_lists_of_hosts_in_urls_work() {
        let socket = parse("postgresql:///app?host=/tmp/x&user=me").unwrap();
        assert_eq!(socket.options.get_socket().unwrap().to_str(), Some("/tmp/x"));
        let list = parse("postgres://me@a.example:1,b.example:2/db").unwrap();
        assert_eq!((list.options.get_host(), list.options.get_port()), ("a.example", 1));
        let six = parse("postgres://me@[::1]:5432/db").unwrap();
        assert_eq!(six.options.get_host(), "::1");
    }

    #[test]
    fn mistakes_are_named_without_repeating_the_secret() {
        for text in ["nonsense", "host='x", "postgres://a:secret@h:port/db", "=x"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ConnectionStringError::Syntax(_)), "{text}");
            assert!(!error.to_string().contains("secret"));
        }
        let error = parse("host=a sslmode=sometimes").unwrap_err();
        assert!(error.to_string().contains("`sslmode` must be one of disable"));
    }
}
