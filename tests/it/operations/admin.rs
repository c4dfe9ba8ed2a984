//! The listener for operators: who may use it, what it shows, what it changes.

use std::process::Stdio;

use keywright::config::{Config, Sources};
use keywright::domain::clock::Clock;
use keywright::node::Node;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::admin::{METRICS_TOKEN, Operator, TOKEN, with_admin};
use crate::support::app::{Client, PASSWORD, TestApp, settings};
use crate::support::brake::Brake;
use crate::support::env_file::EnvFile;
use crate::support::load::assert_shed;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

#[tokio::test]
async fn without_settings_there_is_no_admin_listener() {
    let app = TestApp::start(&[]).await;
    assert_eq!(app.admin_address(), None);
    for path in ["/metrics", "/ops", "/ops/actors", "/ops/settings"] {
        app.get_as(path, TOKEN).await.assert_refused(404, "not-found");
    }
}

#[tokio::test]
async fn nobody_gets_in_without_the_token_and_the_page_alone_is_open() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let stranger = operator.stranger();
    for path in ["/metrics", "/ops/actors", "/ops/settings", "/ops/nothing", "/nothing", "/"] {
        for token in ["", "wrong", PASSWORD, &TOKEN[1..], &TOKEN.to_uppercase()] {
            let response = stranger.get_as(path, token).await;
            response.assert_refused(401, "unauthorized");
            let challenge = response.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Bearer "), "{challenge}");
        }
        stranger.get(path).await.assert_refused(401, "unauthorized");
    }
    let basic = stranger.request(Method::GET, "/ops/actors").basic_auth("operator", Some(TOKEN));
    Client::send(basic).await.assert_refused(401, "unauthorized");
    let patch = stranger.request(Method::PATCH, "/ops/settings").json(&json!({}));
    Client::send(patch).await.assert_refused(401, "unauthorized");

    for path in ["/ops", "/ops/"] {
        let page = stranger.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("<title>Keywright: actors</title>"), "{page:?}");
        assert!(!page.text.contains("session_registry"), "it tells nothing by itself");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "no links");
    }
    let events = "keywright_security_events_total{event=\"admin-unauthorized\"}";
    assert_eq!(operator.metrics().await.count(events), 6 * 6 + 2);
    // The other listener knows neither these paths nor this token.
    app.get_as("/metrics", TOKEN).await.assert_refused(404, "not-found");
    app.get_as("/user", TOKEN).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_scraper_may_read_metrics_and_nothing_else() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let stranger = operator.stranger();
    assert_eq!(stranger.get_as("/metrics", METRICS_TOKEN).await.status, StatusCode::OK);
    for path in ["/ops/actors", "/ops/settings", "/metrics/"] {
        stranger.get_as(path, METRICS_TOKEN).await.assert_refused(401, "unauthorized");
    }
    let patch = stranger.request(Method::PATCH, "/ops/settings").bearer_auth(METRICS_TOKEN);
    let patch = patch.json(&json!({"AUTH_SESSION_BATCH_MAX": 1}));
    Client::send(patch).await.assert_refused(401, "unauthorized");
}

#[tokio::test]
async fn a_refused_token_is_logged_without_the_token() {
    let database = crate::support::postgres::TestDatabase::new().await;
    let port = free_port();
    let port = port.to_string();
    let more = [("AUTH_ADMIN_PORT", port.as_str()), ("AUTH_ADMIN_TOKEN", TOKEN)];
    let server = ServerProcess::start(&database, &more).await;
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    client.get_as("/ops/actors", "a-wrong-token-of-somebody").await;
    assert_eq!(client.get_as("/ops/actors", TOKEN).await.status, StatusCode::OK);
    eventually("the log line", async || {
        server.log().iter().any(|entry| entry["security_event"] == "admin-unauthorized")
    })
    .await;
    let log = format!("{:?}", server.log());
    assert!(!log.contains(TOKEN) && !log.contains("a-wrong-token"), "{log}");
}

/// A port that was free just now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_taken_port_and_a_missing_token_stop_the_start_and_name_the_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let database = crate::support::postgres::TestDatabase::new().await;
    let url = database.url();
    let more = [("AUTH_ADMIN_PORT", port.as_str()), ("AUTH_ADMIN_TOKEN", TOKEN)];
    let sources = Sources::from_env(settings(&url, &more));
    let config = Config::from_sources(&sources).unwrap().config;
    let error = Box::pin(Node::start(config, Clock::system())).await.err().unwrap().to_string();
    assert!(error.contains("AUTH_ADMIN_PORT") && error.contains("AUTH_ADMIN_BIND"), "{error}");

    let sources = Sources::from_env(settings(&url, &more[..1]));
    let errors = Config::from_sources(&sources).unwrap_err();
    assert!(errors.to_string().contains("AUTH_ADMIN_TOKEN"), "{errors}");
}

#[tokio::test]
async fn the_tree_is_shown_with_every_actor_in_its_place() {
    let app = TestApp::start(&with_admin(&[("AUTH_SESSION_SHARDS", "2")])).await;
    let operator = Operator::of(&app);
    let response = operator.get("/ops/actors").await.json();
    assert_eq!(response["standing"], true);
    assert_eq!(response["version"], env!("CARGO_PKG_VERSION"));
    assert!(response["uptimeS"].as_f64().unwrap() >= 0.0);
    let root = operator.actor("").await;
    assert_eq!((&root["kind"], &root["state"]), (&json!("supervisor"), &json!("running")));
    assert_eq!(root["restartPolicy"]["maxRestarts"], 10);
    assert_eq!(root["restartPolicy"]["windowS"], 60.0);
    let names: Vec<_> =
        root["children"].as_array().unwrap().iter().map(|child| child["name"].clone()).collect();
    assert_eq!(
        names,
        [
            "key_rotator",
            "change_feed",
            "session_registry",
            "claims_reader",
            "password_hasher",
            "challenge_store",
            "courier",
            "housekeeping",
            "rate_limiter"
        ]
    );
    let registry = operator.actor("session_registry").await;
    assert_eq!(registry["kind"], "supervisor");
    assert_eq!(registry["children"].as_array().unwrap().len(), 2);
    let shard = operator.actor("session_registry/shard-1").await;
    assert_eq!((&shard["kind"], &shard["state"]), (&json!("actor"), &json!("running")));
    assert_eq!(shard["path"], "session_registry/shard-1");
    assert_eq!(shard["mailbox"]["limit"], 8_192);
    assert!(shard["startedAt"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn work_shows_in_messages_batches_and_times() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let before = operator.actor("session_registry/shard-0").await;
    assert_eq!(before["mailbox"]["inFlight"], 0);
    let mut session = app.anonymous().await;
    for _ in 0..5 {
        session = app.refresh(session.refresh_token()).await.session();
    }
    let shard = operator.actor("session_registry/shard-0").await;
    let rotate = shard["batches"].as_array().unwrap().iter().find(|lane| lane["lane"] == "rotate");
    let rotate = rotate.expect("it has rotated");
    assert_eq!(rotate["size"]["count"], 5);
    assert_eq!(rotate["size"]["mean"], 1.0);
    assert_eq!(rotate["waiting"], 0);
    assert!(rotate["timeS"]["p50"].as_f64().unwrap() > 0.0, "{rotate}");
    let handled = |shard: &Value| shard["handlerS"]["count"].as_u64().unwrap();
    assert!(handled(&shard) >= handled(&before) + 10, "a message there and one back: {shard}");
    assert!(shard["handlerS"]["p99"].as_f64().unwrap() > 0.0);
    assert_eq!(shard["mailbox"]["queued"], 0);
}

#[tokio::test]
async fn what_waits_for_an_actor_shows_while_it_waits() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let session = app.anonymous().await;
    let brake = Brake::on(&app.database, &session).await;
    let (response, ()) = tokio::join!(app.refresh(session.refresh_token()), async {
        eventually("a call in flight", async || {
            let shard = operator.actor("session_registry/shard-0").await;
            shard["mailbox"]["inFlight"] == 1
        })
        .await;
        let metrics = operator.metrics().await;
        let name = "keywright_actor_calls_in_flight{actor=\"session_registry/shard-0\"}";
        assert_eq!(metrics.count(name), 1);
        assert_eq!(metrics.count("keywright_http_requests_in_flight"), 1);
        brake.release().await;
    });
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(operator.metrics().await.count("keywright_http_requests_in_flight"), 0);
}

#[tokio::test]
async fn an_actor_that_crashed_shows_its_restarts_and_why() {
    let app = TestApp::start(&with_admin(&[
        ("AUTH_ACTOR_BACKOFF_MIN", "1ms"),
        ("AUTH_SESSION_SHARDS", "2"),
    ]))
    .await;
    let operator = Operator::of(&app);
    assert_eq!(operator.actor("key_rotator").await["lastFailure"], Value::Null);
    for _ in 0..2 {
        let before = operator.actor("key_rotator").await["restarts"].as_u64().unwrap();
        app.app().actors.key_rotator.crash();
        eventually("a restart", async || {
            let key_rotator = operator.actor("key_rotator").await;
            key_rotator["state"] == "running" && key_rotator["restarts"].as_u64() > Some(before)
        })
        .await;
    }
    app.app().actors.sessions.shards()[1].crash();
    eventually("a restart of the shard", async || {
        let shard = operator.actor("session_registry/shard-1").await;
        shard["state"] == "running" && shard["restarts"] == 1
    })
    .await;
    let key_rotator = operator.actor("key_rotator").await;
    assert_eq!(
        (&key_rotator["restarts"], &key_rotator["restartsInWindow"]),
        (&json!(2), &json!(2))
    );
    let reason = key_rotator["lastFailure"]["reason"].as_str().unwrap();
    assert!(reason.contains("told to crash"), "{reason}");
    assert!(key_rotator["lastFailure"]["agoS"].as_f64().unwrap() >= 0.0);
    assert_eq!(key_rotator["mailbox"]["queued"], 0, "what the crash took with it is not counted");
    let root = operator.actor("").await;
    assert_eq!(root["restartPolicy"]["restartsInWindow"], 2, "the shard is its registry's");
    let registry = operator.actor("session_registry").await;
    assert_eq!(registry["restartPolicy"]["restartsInWindow"], 1);
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count("keywright_actor_restarts_total{actor=\"key_rotator\"}"), 2);
    assert_eq!(metrics.count("keywright_actor_up{actor=\"key_rotator\"}"), 1);
}

/// Actors that stay down once they have fallen.
const SLOW: [(&str, &str); 2] =
    [("AUTH_ACTOR_BACKOFF_MIN", "1h"), ("AUTH_ACTOR_BACKOFF_MAX", "1h")];

async fn is_down(operator: &Operator, actor: &str) {
    eventually("a fallen actor", async || operator.actor(actor).await["state"] == "backing-off")
        .await;
}

#[tokio::test]
async fn an_actor_that_is_down_shows_while_operators_are_still_served() {
    let app = TestApp::start(&with_admin(&SLOW)).await;
    let operator = Operator::of(&app);
    app.app().actors.key_rotator.kill();
    is_down(&operator, "key_rotator").await;
    assert_eq!(operator.get("/ops/actors").await.json()["standing"], false);
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count("keywright_actor_up{actor=\"key_rotator\"}"), 0);
    assert_eq!(metrics.count("keywright_tree_standing"), 0);
    assert_eq!(app.get("/healthz").await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn each_child_of_the_root_is_vital_or_degrades_the_node() {
    let app = TestApp::start(&with_admin(&[])).await;
    let report = Operator::of(&app).get("/ops/actors").await.json();
    let children = report["root"]["children"].as_array().unwrap();
    let found: Vec<_> = children
        .iter()
        .map(|child| (child["name"].clone(), child["criticality"].clone()))
        .collect();
    let expected = [
        ("key_rotator", "vital"),
        ("change_feed", "vital"),
        ("session_registry", "vital"),
        ("claims_reader", "degrading"),
        ("password_hasher", "vital"),
        ("challenge_store", "vital"),
        ("courier", "degrading"),
        ("housekeeping", "degrading"),
        ("rate_limiter", "degrading"),
    ];
    assert_eq!(found, expected.map(|(name, criticality)| (json!(name), json!(criticality))));
}

#[tokio::test]
async fn a_node_without_courier_housekeeping_or_rate_limiter_is_degraded_and_ready() {
    let app = TestApp::start(&with_admin(&SLOW)).await;
    let operator = Operator::of(&app);
    assert_eq!(operator.get("/ops/actors").await.json()["degraded"], json!([]));
    app.app().actors.courier.kill();
    app.app().actors.housekeeping.actor().kill();
    app.app().actors.rate_limiter.kill();
    for actor in ["courier", "housekeeping", "rate_limiter"] {
        is_down(&operator, actor).await;
    }
    let report = operator.get("/ops/actors").await.json();
    assert_eq!(report["standing"], true);
    assert_eq!(report["degraded"], json!(["courier", "housekeeping", "rate_limiter"]));
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count("keywright_degraded_actors"), 3);
    assert_eq!(metrics.count("keywright_tree_standing"), 1);
    app.get("/healthz").await.assert_ok();
    app.anonymous().await;
}

#[tokio::test]
async fn a_degrading_actor_that_fails_too_often_is_told_of_and_ends_nothing() {
    let settings = [("AUTH_ACTOR_BACKOFF_MIN", "1ms"), ("AUTH_ACTOR_MAX_RESTARTS", "1")];
    let app = TestApp::start(&with_admin(&settings)).await;
    let operator = Operator::of(&app);
    for restarts in 1..=4 {
        app.app().actors.courier.crash();
        eventually("a restart", async || {
            let courier = operator.actor("courier").await;
            courier["restarts"] == restarts && courier["state"] == "running"
        })
        .await;
    }
    let report = operator.get("/ops/actors").await.json();
    assert_eq!((&report["standing"], &report["root"]["state"]), (&json!(true), &json!("running")));
    assert_eq!(report["degraded"], json!(["courier"]), "it fails more often than is allowed");
    app.get("/healthz").await.assert_ok();
}

#[tokio::test]
async fn operators_are_served_while_the_main_listener_is_full() {
    let app = TestApp::start(&with_admin(&[("AUTH_HTTP_MAX_CONCURRENCY", "1")])).await;
    let operator = Operator::of(&app);
    let session = app.anonymous().await;
    let brake = Brake::on(&app.database, &session).await;
    let (response, ()) = tokio::join!(app.refresh(session.refresh_token()), async {
        eventually("a full server", async || app.get("/version").await.status == 503).await;
        assert_eq!(operator.get("/ops/actors").await.status, StatusCode::OK);
        assert!(operator.metrics().await.count("keywright_http_requests_shed_total") >= 1);
        brake.release().await;
    });
    assert_eq!(response.status, StatusCode::OK);
}

#[tokio::test]
async fn operators_are_served_until_the_last_request_is_finished() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let session = app.anonymous().await;
    let brake = Brake::on(&app.database, &session).await;
    let (client, shard) = (app.client().clone(), app.app().actors.sessions.shards()[0].clone());
    let stopping = async {
        eventually("the refresh", async || shard.in_flight() == 1).await;
        let watched = async {
            eventually("the end of the main listener", async || {
                let request = client.request(Method::GET, "/livez");
                Client::try_send(request.header("connection", "close")).await.is_err()
            })
            .await;
            assert_eq!(operator.get("/ops/actors").await.status, StatusCode::OK);
            assert_eq!(operator.metrics().await.count("keywright_http_requests_in_flight"), 1);
            brake.release().await;
        };
        tokio::join!(app.stop(), watched);
    };
    let (response, ()) = tokio::join!(client.refresh(session.refresh_token()), stopping);
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    let gone = operator.stranger().request(Method::GET, "/ops");
    assert!(Client::try_send(gone).await.is_err(), "the listener is gone with its server");
}

#[tokio::test]
async fn a_smaller_bound_turns_calls_away_at_once_and_a_larger_one_lets_them_in() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let (one, other) = (app.anonymous().await, app.anonymous().await);
    let changed = operator.tune(json!({"AUTH_SESSION_MAX_IN_FLIGHT": 1})).await;
    assert_eq!(changed, json!([{"name": "AUTH_SESSION_MAX_IN_FLIGHT", "old": "8192", "new": "1"}]));
    let brake = Brake::on(&app.database, &one).await;
    let (held, ()) = tokio::join!(app.refresh(one.refresh_token()), async {
        let shard = &app.app().actors.sessions.shards()[0];
        eventually("a full shard", async || shard.in_flight() == 1).await;
        assert_shed(&app.refresh(other.refresh_token()).await);
        let shard = operator.actor("session_registry/shard-0").await;
        assert_eq!(
            (&shard["mailbox"]["limit"], &shard["mailbox"]["refused"]),
            (&json!(1), &json!(1))
        );
        operator.tune(json!({"AUTH_SESSION_MAX_IN_FLIGHT": null})).await;
        let waiting = app.refresh(other.refresh_token());
        let release = async {
            let shard = &app.app().actors.sessions.shards()[0];
            eventually("both in flight", async || shard.in_flight() == 2).await;
            brake.release().await;
        };
        let (response, ()) = tokio::join!(waiting, release);
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
    });
    assert_eq!(held.status, StatusCode::OK);
    let limit = &operator.actor("session_registry/shard-0").await["mailbox"]["limit"];
    assert_eq!(*limit, json!(8_192));
}

#[tokio::test]
async fn a_smaller_batch_takes_more_statements() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    operator.tune(json!({"AUTH_SESSION_BATCH_MAX": "1"})).await;
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(app.anonymous().await);
    }
    let brake = Brake::on(&app.database, &sessions[0]).await;
    let refreshes = sessions.iter().map(|session| app.refresh(session.refresh_token()));
    let (responses, ()) = tokio::join!(futures_util::future::join_all(refreshes), async {
        let shard = &app.app().actors.sessions.shards()[0];
        eventually("all in flight", async || shard.in_flight() >= 1).await;
        brake.release().await;
    });
    assert!(responses.iter().all(|response| response.status == 200), "{responses:?}");
    let shard = operator.actor("session_registry/shard-0").await;
    let rotate = shard["batches"].as_array().unwrap().iter().find(|lane| lane["lane"] == "rotate");
    assert_eq!(rotate.unwrap()["size"]["count"], 6, "one row a statement: {shard}");
}

#[tokio::test]
async fn the_restart_policy_changes_for_a_running_tree() {
    let mut app = TestApp::start(&with_admin(&[("AUTH_ACTOR_BACKOFF_MIN", "1ms")])).await;
    let operator = Operator::of(&app);
    operator.tune(json!({"AUTH_ACTOR_MAX_RESTARTS": 1, "AUTH_ACTOR_RESTART_WINDOW": "1h"})).await;
    let policy = operator.actor("").await["restartPolicy"].clone();
    assert_eq!((&policy["maxRestarts"], &policy["windowS"]), (&json!(1), &json!(3_600.0)));
    app.app().actors.key_rotator.crash();
    eventually("a restart", async || {
        let key_rotator = operator.actor("key_rotator").await;
        key_rotator["restarts"] == 1 && key_rotator["state"] == "running"
    })
    .await;
    app.app().actors.key_rotator.crash();
    app.node_mut().gave_up().await;
    assert_eq!(operator.actor("").await["state"], "gave-up");
    assert_eq!(operator.get("/ops/actors").await.json()["standing"], false);
}

#[tokio::test]
async fn hasher_limits_change_for_a_running_hasher() {
    let app = TestApp::start(&with_admin(&[("AUTH_PASSWORD_HASH_THREADS", "1")])).await;
    let operator = Operator::of(&app);
    let body = json!({"AUTH_PASSWORD_HASH_THREADS": 3, "AUTH_PASSWORD_HASH_QUEUE": 7});
    let changed = operator.tune(body).await;
    assert_eq!(changed[1], json!({"name": "AUTH_PASSWORD_HASH_THREADS", "old": "1", "new": "3"}));
    assert_eq!(operator.actor("password_hasher").await["mailbox"]["limit"], 10);
    app.sign_up("ann@example.com").await.session();
    app.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_by_name_and_nothing_changes() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    for (name, value, reason) in [
        ("AUTH_NO_SUCH_SETTING", json!(1), "no such setting"),
        ("AUTH_SESSION_SHARDS", json!(2), "next start"),
        ("POSTGRES_CONNECTION", json!("postgres://elsewhere"), "next start"),
        ("AUTH_DISABLE_SIGNUP", json!(true), "SIGHUP"),
        ("HASURA_GRAPHQL_JWT_SECRET", json!("{}"), "SIGHUP"),
        ("AUTH_ADMIN_TOKEN", json!("x"), "SIGHUP"),
        ("AUTH_SESSION_BATCH_MAX", json!(0), "between 1 and"),
        ("AUTH_SESSION_BATCH_MAX", json!("many"), "whole number"),
        ("AUTH_ACTOR_CALL_TIMEOUT", json!("5"), "duration"),
        ("AUTH_ACTOR_BACKOFF_MIN", json!("1h"), "AUTH_ACTOR_BACKOFF_MAX"),
    ] {
        let body = json!({"AUTH_SESSION_MAX_IN_FLIGHT": 5, name: value});
        let response = operator.patch(body).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{name}: {response:?}");
        let body = response.json();
        assert_eq!(body["error"], "invalid-settings");
        let problem = &body["problems"][0];
        assert_eq!(problem["name"], name, "{body}");
        assert!(problem["reason"].as_str().unwrap().contains(reason), "{name}: {body}");
        assert!(!response.text.contains("elsewhere"), "{body}");
    }
    for body in [json!([]), json!({"AUTH_SESSION_BATCH_MAX": [1]}), json!("x")] {
        assert_eq!(operator.patch(body).await.status, StatusCode::BAD_REQUEST);
    }
    assert_eq!(operator.actor("session_registry/shard-0").await["mailbox"]["limit"], 8_192);
}

#[tokio::test]
async fn settings_that_can_be_changed_are_listed_with_their_values() {
    let app = TestApp::start(&with_admin(&[("AUTH_SESSION_BATCH_MAX", "77")])).await;
    let operator = Operator::of(&app);
    operator.tune(json!({"AUTH_COURIER_CONCURRENCY": 3})).await;
    let report = operator.get("/ops/settings").await.json();
    let settings = report["settings"].as_array().unwrap();
    let named = |name: &str| settings.iter().find(|setting| setting["name"] == name).expect(name);
    let batch = named("AUTH_SESSION_BATCH_MAX");
    assert_eq!((&batch["value"], &batch["default"]), (&json!("77"), &json!("256")));
    assert_eq!(batch["overridden"], false);
    let courier = named("AUTH_COURIER_CONCURRENCY");
    assert_eq!((&courier["value"], &courier["overridden"]), (&json!("3"), &json!(true)));
    let threads = named("AUTH_PASSWORD_HASH_THREADS")["value"].as_str().unwrap();
    assert!(threads.parse::<usize>().unwrap() >= 1, "computed defaults are shown: {threads}");
    assert!(settings.iter().all(|setting| setting["name"] != "HASURA_GRAPHQL_JWT_SECRET"));
}

#[tokio::test]
async fn changes_survive_a_reload_of_the_env_file_and_win_over_it() {
    let database = crate::support::postgres::TestDatabase::new().await;
    let file = EnvFile::new("AUTH_SESSION_BATCH_MAX=10\n");
    let port = free_port().to_string();
    let more =
        [("AUTH_ENV_FILE", file.path()), ("AUTH_ADMIN_PORT", &port), ("AUTH_ADMIN_TOKEN", TOKEN)];
    let server = ServerProcess::start(&database, &more).await;
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    let values = async || {
        let report = client.get_as("/ops/settings", TOKEN).await.json();
        let value = |name: &str| {
            let all = report["settings"].as_array().unwrap();
            all.iter().find(|setting| setting["name"] == name).unwrap()["value"].clone()
        };
        (value("AUTH_SESSION_BATCH_MAX"), value("AUTH_COURIER_CONCURRENCY"))
    };
    let change = client.request(Method::PATCH, "/ops/settings").bearer_auth(TOKEN);
    let response = Client::send(change.json(&json!({"AUTH_SESSION_BATCH_MAX": 20}))).await;
    assert_eq!(response.json()["changed"][0]["old"], "10", "{response:?}");
    file.write("AUTH_SESSION_BATCH_MAX=30\nAUTH_COURIER_CONCURRENCY=5\n");
    server.signal(rustix::process::Signal::HUP);
    eventually("the reload", async || values().await.1 == "5").await;
    assert_eq!(values().await.0, "20");
    let change = client.request(Method::PATCH, "/ops/settings").bearer_auth(TOKEN);
    Client::send(change.json(&json!({"AUTH_SESSION_BATCH_MAX": null}))).await;
    assert_eq!(values().await.0, "30", "what was taken back is the file's again");
}

#[tokio::test]
async fn a_reload_changes_the_token() {
    let database = crate::support::postgres::TestDatabase::new().await;
    let file = EnvFile::new("");
    let port = free_port().to_string();
    let more =
        [("AUTH_ENV_FILE", file.path()), ("AUTH_ADMIN_PORT", &port), ("AUTH_ADMIN_TOKEN", TOKEN)];
    let server = ServerProcess::start(&database, &more).await;
    let client = Client::new(format!("http://127.0.0.1:{port}"));
    let status = async |token: &str| client.get_as("/ops/actors", token).await.status;
    assert_eq!(
        (status(TOKEN).await, status(METRICS_TOKEN).await),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
    file.write(&format!("AUTH_ADMIN_TOKEN={METRICS_TOKEN}\n"));
    server.signal(rustix::process::Signal::HUP);
    eventually("the new token", async || status(METRICS_TOKEN).await == StatusCode::OK).await;
    assert_eq!(status(TOKEN).await, StatusCode::UNAUTHORIZED);
}

/// Runs `keywright actors` with these arguments; exit code, output, errors.
async fn actors(port: &str, token: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_keywright"))
        .arg("actors")
        .args(arguments)
        .env_clear()
        .env("AUTH_ADMIN_PORT", port)
        .env("AUTH_ADMIN_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_prints_the_tree_and_changes_settings() {
    let app = TestApp::start(&with_admin(&[("AUTH_ACTOR_BACKOFF_MIN", "1ms")])).await;
    let operator = Operator::of(&app);
    let port = app.admin_address().unwrap().port().to_string();
    app.app().actors.key_rotator.crash();
    eventually("a restart", async || operator.actor("key_rotator").await["restarts"] == 1).await;
    eventually("it runs", async || operator.actor("key_rotator").await["state"] == "running").await;
    let session = app.anonymous().await;
    app.refresh(session.refresh_token()).await.session();

    let (code, text, errors) = actors(&port, TOKEN, &[]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for part in
        ["every vital actor runs", "1 of 10 restarts", "  courier", "told to crash", "    shard-0"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(text.contains("session_registry/shard-0 rotate"), "{text}");
    assert!(text.contains("0/8192"), "{text}");

    let (code, text, _) = actors(&port, TOKEN, &["--json"]).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["standing"]), (Some(0), &json!(true)));

    let (code, text, errors) = actors(&port, TOKEN, &["set", "AUTH_SESSION_BATCH_MAX=5"]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(text, "AUTH_SESSION_BATCH_MAX: 256 -> 5\n");
    let (_, text, _) = actors(&port, TOKEN, &["settings"]).await;
    let line = text.lines().find(|line| line.starts_with("AUTH_SESSION_BATCH_MAX")).unwrap();
    assert!(line.contains(" 5 ") && line.contains("changed here"), "{line}");
    let (_, text, _) = actors(&port, TOKEN, &["set", "AUTH_SESSION_BATCH_MAX="]).await;
    assert_eq!(text, "AUTH_SESSION_BATCH_MAX: 5 -> 256\n");

    let (code, _, errors) = actors(&port, TOKEN, &["set", "AUTH_SESSION_SHARDS=2"]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("AUTH_SESSION_SHARDS") && errors.contains("next start"), "{errors}");
    let (code, _, errors) = actors(&port, METRICS_TOKEN, &[]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("AUTH_ADMIN_TOKEN") && !errors.contains(METRICS_TOKEN), "{errors}");
    app.stop().await;
    let (code, _, errors) = actors(&port, TOKEN, &[]).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("is the server running?"), "{errors}");
}

/// What comes into force goes through the key rotator; while that is down nothing may change, in none
/// of the places that a configuration reaches.
#[tokio::test]
async fn a_reload_that_cannot_be_finished_changes_nothing() {
    let settings = [&SLOW[..], &[("AUTH_ACTOR_CALL_TIMEOUT", "200ms")]].concat();
    let app = TestApp::start(&with_admin(&settings)).await;
    let operator = Operator::of(&app);
    app.app().actors.key_rotator.kill();
    is_down(&operator, "key_rotator").await;
    let before = operator.get("/ops/settings").await.json();
    let shard = &app.app().actors.sessions.shards()[0];
    let limit = shard.stats().limit();
    let change = json!({"AUTH_SESSION_MAX_IN_FLIGHT": "7"});
    let refused = operator.patch(change).await;
    assert!(refused.status.is_server_error(), "{refused:?}");
    assert_eq!(operator.get("/ops/settings").await.json(), before);
    assert_eq!(app.app().config().actors.session_max_in_flight, 8_192);
    assert_eq!(shard.stats().limit(), limit);
}
