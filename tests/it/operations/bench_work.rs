//! `keywright bench` on the work that people have, against whole servers: refreshes spread over a
//! population, sign-ups, sign-ins, and the mix of them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::FromArgMatches as _;
use keywright_bench::args::{BenchArgs, BenchCommand};
use keywright_bench::command;
use keywright_bench::commands::mix::mix;
use keywright_bench::commands::refresh::refresh;
use keywright_bench::commands::sign_in::sign_in;
use keywright_bench::commands::sign_up::sign_up;
use keywright_bench::control::Control;
use keywright_bench::population::file;
use keywright_bench::report::Report;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::TestApp;
use crate::support::smtp::eventually;

const SEEDED: &str = "select count(*) from auth.users where email like 'keywright-bench-%'";

/// What runs of this process have said.
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn note(text: &str) {
    NOTES.lock().unwrap().push(text.to_owned());
}

/// Runs a command for a moment with four connections, unless it says otherwise.
async fn run(url: &str, name: &str, more: &[&str]) -> anyhow::Result<Report> {
    let mut line = vec!["bench", name, "--url", url, "--warmup", "0"];
    for default in [["--seconds", "0.3"], ["--sessions", "4"]] {
        if !more.contains(&default[0]) {
            line.extend(default);
        }
    }
    line.extend(more);
    let matches = command().try_get_matches_from(line)?;
    let control = Control::new(note);
    match BenchArgs::from_arg_matches(&matches)?.what {
        BenchCommand::Refresh(args) => refresh(&args, &control).await,
        BenchCommand::SignUp(args) => sign_up(&args, &control).await,
        BenchCommand::SignIn(args) => sign_in(&args, &control).await,
        BenchCommand::Mix(args) => mix(&args, &control).await,
        _ => unreachable!("no such command here"),
    }
}

/// The results as programs read them, of a run that went well.
async fn results(url: &str, name: &str, more: &[&str]) -> Value {
    let report = run(url, name, more).await.unwrap();
    let json = serde_json::to_value(&report).unwrap();
    for result in json["results"].as_array().unwrap() {
        assert!(result["requests"].as_u64().unwrap() > 0, "{result}");
        assert_eq!(result["errors"], json!({}), "{result}");
        assert_eq!(result["lost_sessions"], 0, "{result}");
    }
    json
}

async fn failure(url: &str, name: &str, more: &[&str]) -> String {
    format!("{:#}", run(url, name, more).await.unwrap_err())
}

fn temporary_file() -> PathBuf {
    std::env::temp_dir().join(format!("kw-bench-{}", Uuid::new_v4()))
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn refreshes_are_spread_over_a_seeded_population_that_is_gone_afterwards() {
    let app = TestApp::start(&[]).await;
    let database = app.database.url();
    let more = ["--population", "6", "--database-url", &database];
    let json = results(app.url(), "refresh", &more).await;
    let result = &json["results"][0];
    assert_eq!(result["population"]["sessions"], 6);
    let times = result["requests"].as_f64().unwrap() / 6.0;
    assert!((result["population"]["times_around"].as_f64().unwrap() - times).abs() < 0.01);
    assert!(times > 1.0, "{result}");
    let work = &result["database"];
    assert!(work["wal_bytes_per_request"].as_f64().unwrap() > 10.0, "{work}");
    assert!(work["statements_per_request"].is_number(), "{work}");
    assert!(work["refresh_tokens"]["updated_per_request"].is_number(), "{work}");
    assert_eq!(app.database.count(SEEDED).await, 0);
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 0);
    assert_eq!(app.database.count("select count(*) from auth.user_roles").await, 0);
}

#[tokio::test]
async fn a_kept_population_is_whole_and_another_run_goes_on_with_it() {
    let app = TestApp::start(&[]).await;
    let (database, path) = (app.database.url(), temporary_file());
    let file = path.to_str().unwrap();
    let kept = ["--population-file", file, "--keep-population", "--database-url", &database];
    results(app.url(), "refresh", &[&kept[..], &["--population", "20"]].concat()).await;
    assert_eq!(app.database.count(SEEDED).await, 20);

    // What was seeded and refreshed is a session like any other.
    let tokens = file::read(&path).unwrap().unwrap().remove(0).tokens;
    assert_eq!(tokens.len(), 20);
    let session = app.refresh(&tokens[7].to_string()).await.session();
    let user = app.get_as("/user", session.access_token()).await.json();
    assert_eq!((&user["emailVerified"], &user["defaultRole"]), (&json!(true), &json!("user")));
    let mut roles: Vec<_> = user["roles"].as_array().unwrap().iter().collect();
    roles.sort_by_key(|role| role.as_str());
    assert_eq!(roles, ["me", "user"]);

    let other_size = [&kept[..], &["--population", "21"]].concat();
    assert!(failure(app.url(), "refresh", &other_size).await.contains("20 sessions, not 21"));
    let without_database = failure(app.url(), "refresh", &["--population-file", file]).await;
    assert!(without_database.contains("--keep-population"), "{without_database}");
    let last = ["--population-file", file, "--database-url", &database];
    results(app.url(), "refresh", &last).await;
    assert_eq!(app.database.count(SEEDED).await, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_population_over_http_needs_no_database() {
    let app = TestApp::start(&[]).await;
    let json = results(app.url(), "refresh", &["--population", "12"]).await;
    assert_eq!(json["results"][0]["population"]["sessions"], 12);
    assert!(json["results"][0]["database"].is_null());
    let anonymous = "select count(*) from auth.users where is_anonymous";
    assert_eq!(app.database.count(anonymous).await, 12);
}

#[tokio::test]
async fn sessions_hop_from_node_to_node() {
    let one = TestApp::start(&with_admin(&[])).await;
    let other = TestApp::start_on(Arc::clone(&one.database), &with_admin(&[])).await;
    let more = ["--nodes", other.url(), "--population", "10", "--sessions", "1"];
    let json = results(one.url(), "refresh", &more).await;
    let name = r#"keywright_http_requests_total{method="POST",route="/token",status="2xx"}"#;
    let of_one = Operator::of(&one).metrics().await.count(name);
    let of_other = Operator::of(&other).metrics().await.count(name);
    // One more, which tried out the first session.
    assert_eq!(of_one + of_other, json["results"][0]["requests"].as_i64().unwrap() + 1);
    assert!((0..=2).contains(&(of_one - of_other)), "{of_one} {of_other}");
}

#[tokio::test]
async fn a_cold_run_measures_after_the_restart_that_it_waits_for() {
    let port = free_port();
    let settings = [("AUTH_PORT", port.as_str())];
    let app = TestApp::start(&settings).await;
    let (database, url) = (Arc::clone(&app.database), app.url().to_owned());
    let measured = async {
        let address = database.url();
        let pid = format!("server=:{port}");
        let more = ["--population", "10", "--cold", "--database-url", &address, "--pid", &pid];
        results(&url, "refresh", &more).await
    };
    let said = async |text: String| {
        eventually(&text, async || NOTES.lock().unwrap().iter().any(|note| note.contains(&text)))
            .await;
    };
    let restarted = async {
        said(format!("restart {url} now")).await;
        app.stop().await;
        said(format!("{url} is away")).await;
        TestApp::start_on(Arc::clone(&database), &settings).await
    };
    let (json, _app) = tokio::join!(measured, restarted);
    assert_eq!(json["results"][0]["population"]["sessions"], 10);
    assert_eq!(json["results"][0]["cpu"][0]["pid"], std::process::id());
}

#[tokio::test]
async fn a_restart_that_does_not_come_is_not_waited_for_for_ever() {
    let app = TestApp::start(&[]).await;
    let more = ["--population", "4", "--cold", "--cold-wait", "1"];
    let error = failure(app.url(), "refresh", &more).await;
    assert!(error.contains("was not restarted within 1 s"), "{error}");
}

#[tokio::test]
async fn each_kind_of_sign_up_makes_a_user_with_each_request() {
    let app = TestApp::start(&[]).await;
    let mut users = 0;
    for kind in ["anonymous", "password"] {
        let database = app.database.url();
        let more = ["--kind", kind, "--database-url", &database];
        let json = results(app.url(), "sign-up", &more).await;
        assert_eq!((&json["operation"], &json["kind"]), (&json!("sign-up"), &json!(kind)));
        // One more, which was tried first.
        users += json["results"][0]["requests"].as_i64().unwrap() + 1;
        assert_eq!(app.database.count("select count(*) from auth.users").await, users, "{kind}");
        assert!(json["results"][0]["database"]["wal_bytes_per_request"].is_number());
    }
}

#[tokio::test]
async fn each_kind_of_sign_in_gives_a_session_with_each_request() {
    let port = free_port();
    let app = TestApp::start(&[
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_SMTP_HOST", "127.0.0.1"),
        ("AUTH_SMTP_PORT", &port),
        ("AUTH_SMTP_SENDER", "bench@example.com"),
        ("AUTH_RECIPIENT_LIMITS", "off"),
    ])
    .await;
    let sessions = "select count(*) from auth.refresh_tokens where type = 'regular'";
    // Sessions that making the accounts takes, and trying the request.
    for (kind, before) in [("anonymous", 1), ("password", 4), ("pat", 4), ("link", 1)] {
        app.database.execute("delete from auth.users").await;
        let more = ["--kind", kind, "--accounts", "2", "--mail-port", &port];
        let json = results(app.url(), "sign-in", &more).await;
        assert_eq!((&json["operation"], &json["kind"]), (&json!("sign-in"), &json!(kind)));
        let requests = json["results"][0]["requests"].as_i64().unwrap();
        assert_eq!(app.database.count(sessions).await, requests + before, "{kind}");
        let parts = json["results"][0]["parts"].as_array().unwrap();
        let names: Vec<_> = parts.iter().map(|part| &part["name"]).collect();
        assert!(if kind == "link" {
            names == ["link", "mail", "request"]
        } else {
            names.is_empty()
        });
    }
}

#[tokio::test]
async fn a_mix_asks_two_servers_for_everything_in_its_share() {
    let (a, b) = (TestApp::start(&[]).await, TestApp::start(&[]).await);
    let (of_a, of_b) = (a.database.url(), b.database.url());
    let json = results(
        a.url(),
        "mix",
        &[
            &["--rate", "250", "--seconds", "0.6", "--population", "100", "--accounts", "2"],
            &["--against", b.url(), "--database-url", &of_a, "--against-database-url", &of_b][..],
        ]
        .concat(),
    )
    .await;
    let mut asked = BTreeMap::new();
    for (result, server) in json["results"].as_array().unwrap().iter().zip(["A", "B"]) {
        assert_eq!(result["server"], server);
        assert_eq!(result["target_per_second"], 250.0);
        assert!(result["target_reached"].is_boolean());
        assert!(result["database"]["wal_bytes_per_request"].is_number());
        for part in result["parts"].as_array().unwrap() {
            // A slow machine may not get to all of them.
            let count = part["requests"].as_u64().unwrap() + part["not_started"].as_u64().unwrap();
            *asked.entry(part["name"].as_str().unwrap()).or_insert(0) += count;
        }
        let latency = &result["latency_ms"];
        assert!(latency["p50"].as_f64().unwrap() <= latency["p999"].as_f64().unwrap());
    }
    let names: Vec<_> = asked.keys().copied().collect();
    assert_eq!(names, ["refresh", "sign-in", "sign-up", "user", "verify"]);
    let all: u64 = asked.values().sum();
    assert!((200..400).contains(&all), "{asked:?}");
    assert!(asked["refresh"] * 10 > all * 7 && asked["user"] * 4 < all, "{asked:?}");
    assert_eq!(json["ratios"][0]["target_per_second"], 250.0);
    assert_eq!(a.database.count(SEEDED).await + b.database.count(SEEDED).await, 2 + 2);
}

#[tokio::test]
async fn a_mix_over_http_has_users_to_read() {
    let app = TestApp::start(&[]).await;
    let more = ["--rate", "200", "--population", "8", "--sign-in", "anonymous"];
    let json = results(app.url(), "mix", &more).await;
    assert!(
        json["results"][0]["parts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|part| { part["name"] == "user" && part["requests"].as_u64().unwrap() > 0 })
    );
}

#[tokio::test]
async fn a_rate_beyond_a_server_is_said_not_to_be_reached_and_its_queue_is_latency() {
    let app = TestApp::start(&[]).await;
    let more =
        ["--rate", "50000", "--population", "10", "--sessions", "1", "--sign-in", "anonymous"];
    let report = run(app.url(), "mix", &more).await.unwrap();
    let result = &report.results[0];
    assert_eq!(result.target_reached, Some(false));
    assert!(result.not_started > 1_000, "{}", result.not_started);
    // Half of what was due waited for longer than a tenth of a second of these three.
    assert!(result.latency_ms.p50 > 100.0, "{:?}", result.latency_ms);
    assert!(report.table().contains("TARGET NOT REACHED"), "{}", report.table());
}

#[tokio::test]
async fn what_a_server_or_a_line_lacks_is_said_before_anything_is_made() {
    let app = TestApp::start(&[("AUTH_ANONYMOUS_USERS_ENABLED", "false")]).await;
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("sign-up", &[], &["409 disabled-endpoint", "AUTH_ANONYMOUS_USERS_ENABLED=true"]),
        ("sign-in", &["--kind", "anonymous"], &["AUTH_ANONYMOUS_USERS_ENABLED=true"]),
        ("mix", &["--rate", "5", "--accounts", "1"], &["AUTH_ANONYMOUS_USERS_ENABLED=true"]),
        (
            "sign-in",
            &["--kind", "link", "--mail-port", "0"],
            &["AUTH_EMAIL_PASSWORDLESS_ENABLED=true", "AUTH_SMTP_PORT="],
        ),
        (
            "refresh",
            &["--population", "5", "--setup", "anonymous"],
            &["AUTH_ANONYMOUS_USERS_ENABLED=true"],
        ),
        ("refresh", &["--population", "3"], &["4 connections need a session each"]),
        (
            "refresh",
            &["--population", "5", "--population-from", "database"],
            &["--database-url", "is needed"],
        ),
        ("refresh", &["--cold"], &["--cold is for --population"]),
        ("refresh", &["--population-file", "/nowhere"], &["says how many"]),
    ];
    for (name, more, wanted) in cases {
        let error = failure(app.url(), name, more).await;
        for part in wanted {
            assert!(error.contains(part), "{name} {more:?}: {error}");
        }
    }
    let users = "select count(*) from auth.users where is_anonymous";
    assert_eq!(app.database.count(users).await, 0);
}
