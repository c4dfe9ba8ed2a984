//! The program and its settings, as an operator meets them.

use std::process::Output;

use rustix::process::Signal;
use serde_json::json;
use tokio::process::Command;

use crate::support::app::settings;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

/// Runs a command to its end with these settings over those of a test server.
async fn run(arguments: &[&str], database: &str, more: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_keywright"))
        .args(arguments)
        .env_clear()
        .envs(settings(database, more))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// What a start that must fail says.
async fn refusal(database: &str, more: &[(&str, &str)]) -> String {
    let output = run(&["serve"], database, more).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Nobody listens on port 1, so a test that gets that far is refused there.
const NOWHERE: &str = "postgres://nobody@127.0.0.1:1/none";

#[tokio::test]
async fn a_refused_start_names_the_setting() {
    for (wrong, named) in [
        (vec![("HASURA_GRAPHQL_JWT_SECRET", "")], "HASURA_GRAPHQL_JWT_SECRET"),
        (vec![("HASURA_GRAPHQL_JWT_SECRET", "{\"type\":\"HS256\"")], "HASURA_GRAPHQL_JWT_SECRET"),
        (vec![("AUTH_DISABLE_SIGNUP", "maybe")], "AUTH_DISABLE_SIGNUP"),
        (vec![("AUTH_ACCESS_TOKEN_EXPIRES_IN", "soon")], "AUTH_ACCESS_TOKEN_EXPIRES_IN"),
        (vec![("AUTH_PORT", "http")], "AUTH_PORT"),
        (vec![("AUTH_BIND", "localhost")], "AUTH_BIND"),
        (vec![("AUTH_API_PREFIX", "v1/")], "AUTH_API_PREFIX"),
        (vec![("AUTH_STORAGE_COMPATIBILITY", "both")], "AUTH_STORAGE_COMPATIBILITY"),
        (vec![("AUTH_SMTP_SENDER", "a\r\nBcc: b")], "AUTH_SMTP_SENDER"),
        (vec![("AUTH_ENV_FILE", "/nowhere/at/all")], "AUTH_ENV_FILE"),
        (
            vec![("AUTH_REFRESH_TOKEN_GRACE", "60"), ("AUTH_REFRESH_TOKEN_EXPIRES_IN", "30")],
            "AUTH_REFRESH_TOKEN_GRACE",
        ),
        (
            vec![("AUTH_SMTP_HOST", "mail.test"), ("AUTH_MAIL_CAPTURE_FOLDER", "/tmp/x")],
            "AUTH_MAIL_CAPTURE_FOLDER",
        ),
        (vec![], "POSTGRES_CONNECTION"),
    ] {
        let text = refusal(NOWHERE, &wrong).await;
        assert!(text.contains(named), "{wrong:?}: {text}");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_no_secret_is_quoted() {
    let wrong = [
        ("HASURA_GRAPHQL_JWT_SECRET", "{\"type\":\"HS256\",\"key\":\"hunter2\"}"),
        ("AUTH_CONCEAL_ERRORS", "perhaps"),
        ("AUTH_SMTP_PORT", "70000"),
    ];
    let text = refusal("postgres://root:hunter2@127.0.0.1:1/none", &wrong).await;
    for (variable, _) in wrong {
        assert!(text.contains(variable), "{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_taken_port_is_named_before_anything_is_done_to_the_database() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let database = TestDatabase::empty().await;
    let text = refusal(&database.url(), &[("AUTH_PORT", &port)]).await;
    assert!(text.contains("AUTH_PORT") && text.contains(&port), "{text}");
    let schemas = "select count(*) from pg_namespace where nspname = 'auth'";
    assert_eq!(database.count(schemas).await, 0);
}

#[tokio::test]
async fn migrate_makes_a_database_once_and_says_what_it_did() {
    let database = TestDatabase::empty().await;
    let first = run(&["migrate"], &database.url(), &[]).await;
    assert!(first.status.success(), "{first:?}");
    assert!(String::from_utf8_lossy(&first.stdout).contains("migrations"), "{first:?}");
    assert_eq!(database.count("select count(*) from auth.users").await, 0);
    let second = run(&["migrate"], &database.url(), &[]).await;
    assert!(second.status.success(), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stdout).contains("nothing to do"), "{second:?}");
    let broken = run(&["migrate"], NOWHERE, &[]).await;
    assert!(String::from_utf8_lossy(&broken.stderr).contains("POSTGRES_CONNECTION"), "{broken:?}");
    assert_eq!(broken.status.code(), Some(1));
}

#[tokio::test]
async fn doctor_tells_what_works_and_what_does_not() {
    let database = TestDatabase::new().await;
    let healthy = run(&["doctor"], &database.url(), &[]).await;
    let text = String::from_utf8(healthy.stdout).unwrap();
    assert!(healthy.status.success(), "{text}");
    for word in ["signing key", "PostgreSQL", "Keywright", "created", "clock", "outbox"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let wrong = [("AUTH_SMTP_HOST", "127.0.0.1"), ("AUTH_SMTP_PORT", "1")];
    let sick = run(&["doctor"], NOWHERE, &wrong).await;
    let text = String::from_utf8(sick.stdout).unwrap();
    assert_eq!(sick.status.code(), Some(1), "{text}");
    for word in ["FAILED", "POSTGRES_CONNECTION", "AUTH_SMTP_"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let empty = TestDatabase::empty().await;
    let before = run(&["doctor"], &empty.url(), &[]).await;
    let text = String::from_utf8(before.stdout).unwrap();
    assert!(text.contains("keywright migrate"), "{text}");
}

#[tokio::test]
async fn help_is_grouped_by_subject_and_shows_every_supported_setting() {
    let output = run(&["serve", "--help"], NOWHERE, &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for heading in ["General:", "Front end:", "Database:", "Accounts:", "Tokens:", "E-mail:"] {
        assert!(text.contains(heading), "{heading}");
    }
    for flag in ["--disable-signup", "--port", "--hasura-graphql-jwt-secret", "AUTH_PORT"] {
        assert!(text.contains(flag), "{flag}");
    }
    let output = run(&["--help"], NOWHERE, &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    for command in ["serve", "dev", "migrate", "doctor", "bench"] {
        assert!(text.contains(command), "{text}");
    }
}

#[tokio::test]
async fn a_flag_wins_over_the_environment() {
    let output = run(&["serve", "--port", "flagged"], NOWHERE, &[("AUTH_PORT", "0")]).await;
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("flagged") && text.contains("AUTH_PORT"), "{text}");
}

/// How often the log has a notice about this setting.
fn notices(server: &ServerProcess, setting: &str) -> usize {
    let about = |entry: &&serde_json::Value| entry["setting"] == setting;
    server.log().iter().filter(about).count()
}

#[tokio::test]
async fn what_is_not_supported_is_reported_once_and_never_ignored_in_silence() {
    let database = TestDatabase::new().await;
    let settings = [
        ("AUTH_OAUTH2_PROVIDER_ENABLED", "true"),
        ("AUTH_NO_SUCH_SETTING", "1"),
        ("AUTH_WEBAUTHN_ENABLED", "false"),
    ];
    let server = ServerProcess::start(&database, &settings).await;
    for (setting, times) in [
        ("AUTH_OAUTH2_PROVIDER_ENABLED", 1),
        ("AUTH_NO_SUCH_SETTING", 1),
        ("AUTH_WEBAUTHN_ENABLED", 0),
        ("AUTH_DISABLE_SIGNUP", 0),
    ] {
        assert_eq!(notices(&server, setting), times, "{setting}: {:?}", server.log());
    }
    assert_eq!(server.client().get("/healthz").await.status, 200);
}

#[tokio::test]
async fn no_line_is_lost_after_a_notice_of_postgres() {
    // A new database is full of notices, about which libraries ask whether anybody wants them.
    let database = TestDatabase::empty().await;
    let server = ServerProcess::start(&database, &[]).await;
    for text in ["database is ready", "inserted roles", "serving"] {
        let lines = server.log().iter().filter(|entry| entry["msg"] == text).count();
        assert_eq!(lines, 1, "{text}: {:?}", server.log());
    }
}

#[tokio::test]
async fn sighup_puts_a_changed_env_file_in_force_and_a_broken_one_not() {
    let database = TestDatabase::new().await;
    let path = std::env::temp_dir().join(format!("keywright-{}.env", uuid::Uuid::new_v4()));
    std::fs::write(&path, "AUTH_DISABLE_SIGNUP=false\n").unwrap();
    let file = path.to_str().unwrap().to_owned();
    let mut server = ServerProcess::start(&database, &[("AUTH_ENV_FILE", &file)]).await;
    server.client().sign_up("ann@example.com").await.session();
    let reload = async |text: &str, message: &str, times: usize| {
        std::fs::write(&path, text).unwrap();
        server.signal(Signal::HUP);
        eventually(message, async || {
            server.log().iter().filter(|entry| entry["msg"] == message).count() == times
        })
        .await;
    };

    let closed = "# closed\nAUTH_DISABLE_SIGNUP=true\nAUTH_API_PREFIX=/v2\n";
    reload(closed, "configuration reloaded", 1).await;
    server.client().sign_up("bob@example.com").await.assert_refused(403, "signup-disabled");
    assert_eq!(notices(&server, "AUTH_API_PREFIX"), 1, "it waits for the next start, and says so");

    reload("AUTH_DISABLE_SIGNUP=nonsense\n", "configuration not reloaded", 1).await;
    server.client().sign_up("bob@example.com").await.assert_refused(403, "signup-disabled");

    reload("AUTH_DISABLE_SIGNUP=false\n", "configuration reloaded", 2).await;
    server.client().sign_up("bob@example.com").await.session();
    std::fs::remove_file(&path).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await, Some(0));
}

#[tokio::test]
async fn change_env_is_warned_about() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &[("AUTH_ENABLE_CHANGE_ENV", "true")]).await;
    let warned = server
        .log()
        .iter()
        .any(|entry| entry["setting"] == "AUTH_ENABLE_CHANGE_ENV" && entry["level"] == "WARN");
    assert!(warned, "{:?}", server.log());
    let response = server.client().post("/change-env", json!({"AUTH_DISABLE_SIGNUP": true})).await;
    assert_eq!(response.status, 200);
    server.client().sign_up("ann@example.com").await.assert_refused(403, "signup-disabled");
}
