//! What environments hold that nobody means: blanks, line feeds, variables of orchestrators.

use secrecy::ExposeSecret as _;

use super::super::table;
use super::super::{Notice, NoticeLevel};
use super::*;
use crate::settings::Kind;

const JWT_SECRET: (&str, &str) =
    ("HASURA_GRAPHQL_JWT_SECRET", r#"{"type":"HS256","key":"0123456789abcdef0123456789abcdef"}"#);

fn load(variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let all = std::iter::once(JWT_SECRET).chain(variables.iter().copied());
    Config::from_sources(&Sources::from_env(all)).map_err(|errors| errors.to_string())
}

fn notices(variables: &[(&str, &str)]) -> Vec<Notice> {
    load(variables).unwrap().notices
}

#[test]
fn every_setting_loses_what_nobody_means_at_its_ends_and_says_so() {
    let mut counts = [0, 0, 0];
    for setting in table::all() {
        let given = match setting.kind {
            Kind::List => "x, y ,z\r\n",
            _ => "\u{feff} x y\t\n",
        };
        let sources = Sources::from_env([(setting.variable, given)]);
        let mut reader = Reader::new(&sources);
        match setting.kind {
            Kind::List => {
                assert_eq!(reader.list(setting), ["x", "y", "z"], "{}", setting.variable);
                counts[0] += 1;
            }
            Kind::Text => {
                assert_eq!(reader.text(setting), "x y", "{}", setting.variable);
                assert_eq!(reader.secret(setting).expose_secret(), "x y");
                counts[1] += 1;
            }
            // Other types are parsed; that none of them sees the ends is seen below.
            _ => {
                let raw = sources.lookup(setting).unwrap();
                assert_eq!(raw.values, ["x y"], "{}", setting.variable);
                counts[2] += 1;
                continue;
            }
        }
        let [notice] = reader.notices.as_slice() else { panic!("{:?}", reader.notices) };
        assert_eq!((notice.level, notice.variable.as_str()), (NoticeLevel::Info, setting.variable));
        assert!(notice.text.contains("taken off") && !notice.text.contains("x y"), "{notice}");

        let clean = Sources::from_env([(setting.variable, "x,y")]);
        let mut reader = Reader::new(&clean);
        reader.list(setting);
        reader.text(setting);
        assert_eq!(reader.notices, [], "{}", setting.variable);
    }
    assert!(counts[0] > 15 && counts[1] > 60 && counts[2] > 60, "{counts:?}");
}

#[test]
fn what_is_read_into_types_has_no_blanks_either() {
    let config = load(&[
        ("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "a.example, b.example"),
        ("AUTH_CLIENT_URL", "https://app.example.com \n"),
        ("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://one.example, https://two.example\n"),
        ("AUTH_SERVER_URL", "https://auth.example.com/v1\n"),
        ("AUTH_SMTP_HOST", " mail.example.com"),
        ("AUTH_SMTP_PASS", "sesame\r\n"),
        ("AUTH_SMTP_SECURE", "true\n"),
        ("AUTH_SMTP_PORT", " 465"),
        ("AUTH_SMTP_AUTH_METHOD", "LOGIN "),
        ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "60\n"),
        ("AUTH_HTTP_REQUEST_TIMEOUT", "10s "),
        ("AUTH_PORT", " 80"),
        ("AUTH_TRUSTED_PROXIES", "10.0.0.0/8 , 192.0.2.1"),
    ])
    .unwrap()
    .config;
    assert!(!config.accounts.email_access.allows("x@b.example"), "the second one, too");
    assert_eq!(config.server.client_url, "https://app.example.com");
    assert!(config.accounts.redirects.is_allowed("https://two.example/x"));
    assert_eq!(config.server.server_url.unwrap().as_str(), "https://auth.example.com/v1");
    let MailTransport::Smtp(smtp) = config.mail.transport else { panic!("it is SMTP") };
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.implicit_tls), ("mail.example.com", 465, true));
    assert_eq!(smtp.password.expose_secret(), "sesame");
    assert_eq!(config.tokens.access_token_lifetime.as_secs(), 60);
    assert_eq!(config.server.request_timeout.as_secs(), 10);
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.server.trusted_proxies.unwrap().len(), 2);
}

#[test]
fn a_value_of_blanks_is_an_empty_one() {
    let config = load(&[("AUTH_SMTP_PORT", " \n"), ("AUTH_SMTP_HOST", "\n")]).unwrap().config;
    assert!(matches!(config.mail.transport, MailTransport::None));
    assert!(load(&[("AUTH_CLIENT_URL", "\n")]).unwrap().config.server.client_url.is_empty());
}

#[test]
fn members_of_change_env_are_trimmed_alike() {
    let config = load(&[]).unwrap().config;
    let body = br#"{
        "AUTH_CLIENT_URL": "https://app.example.com ",
        "AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS": "a.example, b.example",
        "AUTH_DEFAULT_ALLOWED_ROLES": ["me ", "user", " "],
        "HASURA_GRAPHQL_ADMIN_SECRET": "sesame\n"
    }"#;
    let config = config.with_change_env(body).unwrap();
    assert_eq!(config.server.client_url, "https://app.example.com");
    assert!(!config.accounts.email_access.allows("x@b.example"));
    assert_eq!(config.accounts.lists.roles, ["me", "user"]);
    assert_eq!(config.hasura.admin_secret.expose_secret(), "sesame");
}

#[test]
fn addresses_that_orchestrators_set_are_no_ports_and_their_names_no_mistakes() {
    let links = [
        ("AUTH_PORT", "tcp://10.96.0.12:4000"),
        ("AUTH_ADMIN_PORT", "tcp://10.96.0.13:9000"),
        ("AUTH_SMTP_PORT", "udp://10.96.0.14:25"),
        ("AUTH_SERVICE_HOST", "10.96.0.12"),
        ("AUTH_SERVICE_PORT", "4000"),
        ("AUTH_SERVICE_PORT_HTTP", "4000"),
        ("AUTH_PORT_4000_TCP", "tcp://10.96.0.12:4000"),
        ("AUTH_PORT_4000_TCP_PROTO", "tcp"),
        ("AUTH_PORT_4000_TCP_PORT", "4000"),
        ("AUTH_PORT_4000_TCP_ADDR", "10.96.0.12"),
    ];
    let loaded = load(&links).unwrap();
    assert_eq!(loaded.config.server.listen.port(), 4_000);
    let warned: Vec<_> = loaded
        .notices
        .iter()
        .filter(|notice| links.iter().any(|(name, _)| *name == notice.variable))
        .map(|notice| (notice.variable.as_str(), notice.level))
        .collect();
    let warning = NoticeLevel::Warning;
    assert_eq!(
        warned,
        [("AUTH_PORT", warning), ("AUTH_SMTP_PORT", warning), ("AUTH_ADMIN_PORT", warning)]
    );
    // Every port has that form of name.
    for setting in table::all().filter(|setting| setting.variable.ends_with("_PORT")) {
        let loaded = load(&[(setting.variable, "tcp://10.96.0.12:1")]);
        assert!(loaded.is_ok(), "{}: {loaded:?}", setting.variable);
    }
    // What is said by a flag is meant.
    let flag = Sources::from_env([JWT_SECRET]).with_flag("port", "tcp://10.96.0.12:4000");
    assert!(Config::from_sources(&flag).is_err());
}

#[test]
fn a_client_url_that_cannot_be_a_target_stops_the_start_by_name() {
    for bad in [
        "https://*.example.com",
        "https://app.example.com/**",
        "https://{a,b}.example.com",
        "https://app-[0-9].example.com",
        "https://app\\.example.com",
        "app.example.com",
        "//app.example.com",
        "/start",
        "javascript:/x",
        "https://user@app.example.com",
    ] {
        let refusal = load(&[("AUTH_CLIENT_URL", bad)]).map(|_| ()).unwrap_err();
        assert!(refusal.starts_with("AUTH_CLIENT_URL: "), "{bad}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
    for good in [
        "https://app.example.com",
        "http://localhost:5000/#/",
        "https://app.example.com/?a=[1]",
        "http://[::1]:3000/",
        "com.example.app:/cb",
        "myapp://",
    ] {
        let config = load(&[("AUTH_CLIENT_URL", good)]).unwrap().config;
        assert!(config.accounts.redirects.is_allowed(good), "{good}");
    }
    let mail = ("AUTH_SMTP_HOST", "mail");
    let list = ("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://app.example.com");
    let refusal = load(&[mail]).map(|_| ()).unwrap_err();
    assert!(refusal.starts_with("AUTH_CLIENT_URL: not set"), "{refusal}");
    assert!(load(&[mail, list]).is_ok() && load(&[]).is_ok());
    assert!(notices(&[]).iter().any(|notice| notice.variable == "AUTH_CLIENT_URL"));
}
