use super::parameters::PARAMETERS;
use super::*;
use sqlx::postgres::PgSslMode;

fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
    ConnectionString::parse(&SecretString::from(text))
}

fn session(parsed: &ConnectionString) -> Vec<(&str, &str)> {
    parsed.session.pairs().collect()
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
    assert_eq!(session(&parsed), [("search_path", "app,public")]);
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
    assert_eq!(session(&parsed), [("geqo", "off")]);
}

#[test]
fn sockets_and_lists_of_hosts_in_urls_work() {
    for (url, port) in [
        ("postgresql:///app?host=/tmp/x&user=me&port=4180", 4180),
        ("postgres://me:p@/app?host=/tmp/x&port=4180", 4180),
        ("postgres://me:p@%2Ftmp%2Fx/app", 5432),
        ("postgres://me:p@%2Ftmp%2Fx:4180/app", 4180),
        ("postgres://me:p@:4180/app?host=%2Ftmp%2Fx", 4180),
    ] {
        let parsed = parse(url).unwrap();
        assert_eq!(parsed.options.get_socket().unwrap().to_str(), Some("/tmp/x"), "{url}");
        assert_eq!(parsed.options.get_port(), port, "{url}");
        assert_eq!(parsed.options.get_username(), "me", "{url}");
        assert_eq!(parsed.options.get_database(), Some("app"), "{url}");
    }
    let list = parse("postgres://me@a.example:1,b.example:2/db").unwrap();
    assert_eq!((list.options.get_host(), list.options.get_port()), ("a.example", 1));
    let six = parse("postgres://me@[::1]:5432/db").unwrap();
    assert_eq!(six.options.get_host(), "::1");
}

#[test]
fn options_are_settings_of_the_session_and_words_for_proxies() {
    let parsed = parse(
        r"postgres://h/db?options=-c%20search_path%3Da%5C%20b%20--work-mem%3D8MB%20-cgeqo%3Doff",
    )
    .unwrap();
    assert_eq!(session(&parsed), [("search_path", "a b"), ("work_mem", "8MB"), ("geqo", "off")]);
    assert_eq!(parsed.options.get_options(), None, "poolers refuse them");
    let neon = parse("postgres://h/db?options=endpoint%3Dquiet-sea-1%20-c%20geqo%3Doff").unwrap();
    assert_eq!(neon.options.get_options(), Some("endpoint=quiet-sea-1"));
    assert_eq!(session(&neon), [("geqo", "off")]);
    assert!(parse("host=h options='-c geqo'").is_err());
}

type Check = fn(&ConnectionString) -> bool;

/// The value of each parameter that does something, and whether it has done it.
const USED: &[(&str, &str, Check)] = &[
    ("application_name", "me", |p| p.options.get_application_name() == Some("me")),
    ("connect_timeout", "7", |p| p.connect_timeout == Some(Duration::from_secs(7))),
    ("database", "d", |p| p.options.get_database() == Some("d")),
    ("dbname", "d", |p| p.options.get_database() == Some("d")),
    ("default_query_exec_mode", "exec", |p| capacity(p) == "1"),
    ("fallback_application_name", "me", |p| p.options.get_application_name() == Some("me")),
    ("host", "elsewhere", |p| p.options.get_host() == "elsewhere"),
    ("hostaddr", "10.0.0.1", |p| p.options.get_host() == "10.0.0.1"),
    ("options", "-cgeqo=off", |p| session(p) == [("geqo", "off")]),
    ("password", "pw", |p| format!("{:?}", p.options).contains("\"pw\"")),
    ("pool_max_conn_idle_time", "5s", |p| p.pool.idle_timeout == Some(Duration::from_secs(5))),
    ("pool_max_conn_lifetime", "5s", |p| p.pool.max_lifetime == Some(Duration::from_secs(5))),
    ("pool_max_conns", "3", |p| p.pool.max_connections == Some(3)),
    ("pool_min_conns", "3", |p| p.pool.min_connections == Some(3)),
    ("port", "4", |p| p.options.get_port() == 4),
    ("sslcert", "/c", |p| format!("{:?}", p.options).contains("/c")),
    ("sslkey", "/k", |p| format!("{:?}", p.options).contains("/k")),
    ("sslmode", "verify-full", |p| matches!(p.options.get_ssl_mode(), PgSslMode::VerifyFull)),
    ("sslrootcert", "/r", |p| format!("{:?}", p.options).contains("/r")),
    ("statement_cache_capacity", "0", |p| capacity(p) == "1"),
    ("user", "me", |p| p.options.get_username() == "me"),
];

fn capacity(parsed: &ConnectionString) -> String {
    let url = parsed.options.to_url_lossy();
    let pair = url.query_pairs().find(|(name, _)| name == "statement-cache-capacity");
    pair.expect("sqlx writes it").1.into_owned()
}

#[test]
fn every_parameter_of_other_drivers_is_honoured_or_harmless_or_refused_by_name() {
    assert!(PARAMETERS.is_sorted_by_key(|(name, _)| name), "they are searched by halves");
    let page = include_str!("../../../docs/database.md");
    for (name, rule) in PARAMETERS {
        assert!(page.contains(&format!("`{name}`")), "docs/database.md says nothing of {name}");
        // `host` would be in the way of the others that say where to connect.
        let with = |value: &str| {
            let base = if name.starts_with("host") { "" } else { "host=h " };
            let beside = match *name {
                "sslcert" => " sslkey=/k",
                "sslkey" => " sslcert=/c",
                _ => "",
            };
            parse(&format!("{base}{name}='{value}'{beside}"))
        };
        let refused = |value: &str| {
            let error = with(value).expect_err(name).to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            assert!(value.is_empty() || !error.contains(value), "{error}");
        };
        match rule {
            Rule::Used => {
                let (_, value, is_honoured) = USED
                    .iter()
                    .find(|(used, _, _)| used == name)
                    .unwrap_or_else(|| panic!("what does {name} do?"));
                assert!(is_honoured(&with(value).unwrap()), "{name}");
            }
            Rule::Harmless(_) => {
                assert_eq!(session(&with("7").unwrap()), [], "{name}");
            }
            Rule::Only(values, _) => {
                for value in *values {
                    assert_eq!(session(&with(value).unwrap()), [], "{name}={value}");
                }
                refused("Something-Else");
            }
            Rule::Refused(_) => refused("Some-Value"),
        }
    }
    for (text, name) in [
        ("host=h sslnegotiation=direct", "sslnegotiation"),
        ("host=h default_query_exec_mode=simple_protocol", "default_query_exec_mode"),
        ("host=h hostaddr=10.0.0.1", "hostaddr"),
        ("host=h hostaddr=db.example", "hostaddr"),
        ("host=h port=many", "port"),
        ("host=h sslmode=sometimes", "sslmode"),
        ("host=h sslcert=/c", "sslkey"),
        ("host=h sslkey=/k", "sslcert"),
        ("host=h sslrootcert=system sslmode=require", "sslmode"),
        ("postgres://h:port/db", "port"),
        ("postgres://h/db?pool_max_conns=many", "pool_max_conns"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(&format!("`{name}`")), "{text}: {error}");
    }
}

#[test]
fn sslmode_means_what_it_means_to_libpq() {
    use PgSslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    for (text, expected) in [
        ("host=h sslmode=disable", Disable),
        ("host=h sslmode=allow", Prefer),
        ("host=h sslmode=prefer", Prefer),
        ("host=h sslmode=require", Require),
        ("host=h sslmode=require sslrootcert=/ca.pem", VerifyCa),
        ("host=h sslmode=prefer sslrootcert=/ca.pem", Prefer),
        ("host=h sslmode=verify-ca", VerifyCa),
        ("host=h sslmode=verify-full sslrootcert=/ca.pem", VerifyFull),
        ("host=h sslrootcert=system", VerifyFull),
        ("host=h ssl=true", Require),
        // Nobody is on the way to a socket of this machine.
        ("host=/run/pg sslmode=verify-full", Disable),
    ] {
        let found = parse(text).unwrap().options.get_ssl_mode();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{text}");
    }
}

#[test]
fn files_of_tls_are_named_if_they_cannot_be_used() {
    let missing = parse("host=h sslmode=require sslrootcert=/does/not/exist.pem").unwrap();
    let error = missing.check_files().unwrap_err().to_string();
    assert!(error.contains("sslrootcert") && error.contains("/does/not/exist.pem"), "{error}");
    let no_pem = parse(concat!("host=h sslrootcert=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let error = no_pem.unwrap().check_files().unwrap_err().to_string();
    assert!(error.contains("no certificate"), "{error}");
    let unused = parse("host=h sslmode=disable sslrootcert=/does/not/exist.pem").unwrap();
    unused.check_files().unwrap();
}

#[test]
fn quotes_around_the_whole_are_taken_off() {
    for text in ["'postgres://u:p@h/db'", "\"postgres://u:p@h/db\"", " 'host=h user=u dbname=db' "]
    {
        let parsed = parse(text).unwrap();
        assert_eq!(parsed.options.get_host(), "h", "{text}");
        assert_eq!(parsed.options.get_database(), Some("db"), "{text}");
    }
    assert!(parse("\"postgres://u:p@h/db").is_err());
}

#[test]
fn no_message_has_any_part_of_a_password_in_it() {
    // Of characters that are in no name and no text of ours, so that any two of them tell.
    let passwords = [
        "QJ7XZ9",
        "QJ7@XZ9",
        "QJ7/XZ9",
        "QJ7?XZ9",
        "QJ7#XZ9",
        "QJ7 XZ9",
        "QJ7=XZ9",
        "QJ7'XZ9",
        "QJ7\"XZ9",
        "QJ7%XZ9",
        "QJ7&XZ9=",
        "QJ7:XZ9",
        "QJ7,XZ9",
        "7QJ\\XZ9",
        "[QJ7XZ9",
        "9?QJ7X=@Z",
        "QJ7%00XZ9",
        "QJ7%ffXZ9",
    ];
    let places = [
        "postgres://u:PW@h/db",
        "\"postgres://u:PW@h/db\"",
        "\"postgres://u:PW@h/db",
        "postgres://PW@h/db",
        "postgres://u:x@PW/db",
        "postgres://u@h:PW/db",
        "postgres://u:x@h/db?PW",
        "postgres://u:x@h/db?PW=1",
        "postgres://u:x@h/db?password=PW",
        "postgres://u:x@h/db?port=PW",
        "postgres://u:x@h/db?sslmode=PW",
        "postgres://u:x@h/db?options=PW",
        "postgres://u:x@h/db?options=-c%20PW",
        "postgres://u:x@h/db?default_query_exec_mode=PW",
        "mysql://u:PW@h/db?x=y",
        "user=u password=PW host=h",
        "user=u password='PW' host=h",
        "user=u password='PW host=h",
        "PW",
        "password PW",
        "password=x PW = 1",
        "host=h hostaddr=PW",
        "host=h passfile=PW",
        "host=h pool_max_conns=PW",
        "host=h connect_timeout=PW",
    ];
    for place in places {
        for password in passwords {
            let text = place.replace("PW", password);
            for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                let Err(error) = parse(&text[..end]) else { continue };
                let said = format!("{error} {error:?}");
                for part in ["QJ", "J7", "7X", "XZ", "Z9"] {
                    assert!(!said.contains(part), "{text}: {said}");
                }
            }
        }
    }
}
