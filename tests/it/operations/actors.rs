//! Every actor may die at any time: nothing acknowledged is lost, and the server recovers.

use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use futures_util::future::join_all;
use keywright::actors::runtime::supervisor::ChildStatus;
use keywright::app::App;
use keywright::cli::serve::run_node;
use keywright::cli::signals::Signals;
use keywright::config::{Config, Sources};
use keywright::domain::clock::Clock;
use keywright::node::Node;
use keywright::reload;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{Client, PASSWORD, Session, TestApp, settings};
use crate::support::brake::Brake;
use crate::support::load::{assert_shed, under_load};
use crate::support::smtp::{SmtpServer, Tls, eventually};

/// Faults of one test, each of which must be recovered from.
const FAULTS: usize = 12;

/// Restarts that are quick and never too many.
const PATIENT: &[(&str, &str)] = &[
    ("AUTH_ACTOR_MAX_RESTARTS", "100000"),
    ("AUTH_ACTOR_BACKOFF_MIN", "1ms"),
    ("AUTH_ACTOR_BACKOFF_MAX", "20ms"),
];

fn patient<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [PATIENT, more].concat()
}

async fn sessions(client: &Client, count: usize) -> Vec<Session> {
    join_all((0..count).map(|_| client.anonymous())).await
}

fn child(app: &App, name: &str) -> ChildStatus {
    let list = app.tree.list();
    list.into_iter().find(|(child, _)| child == name).expect("it is in the view").1
}

/// Waits until the tree stands, and an actor has been restarted that often.
async fn restarted(app: &App, name: &str, times: u64) {
    eventually("a restart", async || app.tree.is_standing() && child(app, name).restarts >= times)
        .await;
}

/// Refreshes go on without a single refusal while `fault` happens again and again to one actor.
#[expect(clippy::future_not_send, reason = "a test stays on its thread")]
async fn no_refresh_is_hit(app: &TestApp, name: &str, fault: impl Fn(&App, usize)) {
    let sessions = sessions(app.client(), 8).await;
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        for number in 0..FAULTS {
            fault(app.app(), number);
            restarted(app.app(), name, u64::try_from(number + 1).unwrap()).await;
            seen.more_rotations(20).await;
        }
    })
    .await;
    assert_eq!((seen.refusals(), seen.lost()), (0, 0), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn session_shards_that_die_under_load_lose_nothing() {
    let app = TestApp::start(&patient(&[("AUTH_SESSION_SHARDS", "2")])).await;
    let sessions = sessions(app.client(), 16).await;
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        for number in 0..FAULTS {
            for shard in app.app().actors.sessions.shards() {
                if number % 2 == 0 { shard.crash() } else { shard.kill() }
            }
            seen.more_rotations(40).await;
        }
    })
    .await;
    assert_eq!(seen.lost(), 0, "{seen:?}");
    let restarts = child(app.app(), "session_registry/shard-0").restarts;
    assert!(restarts >= u64::try_from(FAULTS).unwrap(), "{restarts}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_registry_whose_shard_fails_too_often_is_restarted_and_loses_nothing() {
    let quick = [("AUTH_ACTOR_MAX_RESTARTS", "2"), ("AUTH_ACTOR_BACKOFF_MIN", "1ms")];
    let app = TestApp::start(&quick).await;
    let sessions = sessions(app.client(), 16).await;
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        for _ in 0..3 {
            let before = child(app.app(), "session_registry/shard-0").restarts;
            app.app().actors.sessions.shards()[0].crash();
            restarted(app.app(), "session_registry/shard-0", before + 1).await;
            seen.more_rotations(20).await;
        }
    })
    .await;
    assert_eq!(seen.lost(), 0);
    assert_eq!(child(app.app(), "session_registry").restarts, 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dying_key_rotator_is_not_noticed_and_reloads_keys_afterwards() {
    let app = TestApp::start(&patient(&[])).await;
    no_refresh_is_hit(&app, "key_rotator", |app, number| {
        if number % 2 == 0 { app.actors.key_rotator.crash() } else { app.actors.key_rotator.kill() }
    })
    .await;
    let config = (*app.app().config.load_full()).clone();
    reload::apply(app.app(), config).await.unwrap();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dying_change_feed_is_not_noticed_by_refreshes_and_feeds_again() {
    let app = TestApp::start(&patient(&[])).await;
    let session = app.sign_up("dee@example.com").await.session();
    no_refresh_is_hit(&app, "change_feed", |app, number| {
        if number % 2 == 0 { app.actors.change_feed.crash() } else { app.actors.change_feed.kill() }
    })
    .await;
    let mut connection = app.database.connection().await;
    for number in 0..3 {
        let name = format!("Dee {number}");
        sqlx::query("update auth.users set display_name = $2 where id = $1")
            .bind(session.user_id())
            .bind(&name)
            .execute(&mut connection)
            .await
            .unwrap();
        eventually("the change", async || {
            app.get_as("/user", session.access_token()).await.json()["displayName"] == name
        })
        .await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dying_courier_is_not_noticed_and_every_mail_arrives_once() {
    let smtp = SmtpServer::start(Tls::Never).await;
    let port = smtp.address.port().to_string();
    let mail = [
        ("AUTH_SMTP_HOST", "127.0.0.1"),
        ("AUTH_SMTP_PORT", port.as_str()),
        ("AUTH_SMTP_SENDER", "auth@example.com"),
        ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
    ];
    let app = TestApp::start(&patient(&mail)).await;
    for number in 0..FAULTS {
        let response = app.sign_up(&format!("user{number}@example.com")).await;
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        let courier = &app.app().actors.courier;
        if number % 2 == 0 { courier.crash() } else { courier.kill() }
    }
    eventually("every mail", async || smtp.received().len() >= FAULTS).await;
    let mut to: Vec<_> = smtp.received().into_iter().flat_map(|mail| mail.to).collect();
    to.sort_unstable();
    to.dedup();
    assert_eq!((smtp.received().len(), to.len()), (FAULTS, FAULTS));
    // How many faults hit one life depends on how long a panic takes.
    restarted(app.app(), "courier", 1).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dying_password_hasher_hits_sign_ins_alone_and_recovers() {
    let app = TestApp::start(&patient(&[])).await;
    app.sign_up("eve@example.com").await.session();
    let sign_ins = async {
        let mut accepted = 0;
        for _ in 0..FAULTS {
            let batch = (0..4).map(|_| app.sign_in("eve@example.com", PASSWORD));
            for response in join_all(batch).await {
                if response.status == StatusCode::OK {
                    accepted += 1;
                } else {
                    assert_shed(&response);
                }
            }
        }
        accepted
    };
    let faults = no_refresh_is_hit(&app, "password_hasher", |app, number| {
        if number % 2 == 0 { app.actors.passwords.crash() } else { app.actors.passwords.kill() }
    });
    let (accepted, ()) = tokio::join!(sign_ins, faults);
    assert!(accepted >= FAULTS, "{accepted} of {}", 4 * FAULTS);
    app.sign_in("eve@example.com", "another-Passw0rd")
        .await
        .assert_refused(401, "invalid-email-password");
    app.sign_in("eve@example.com", PASSWORD).await.session();
    app.stop().await;
}

#[tokio::test]
async fn requests_past_the_bound_of_a_shard_are_shed_at_once() {
    let app = TestApp::start(&[("AUTH_SESSION_MAX_IN_FLIGHT", "1")]).await;
    let (held, other) = (app.anonymous().await, app.anonymous().await);
    let brake = Brake::on(&app.database, &held).await;
    let shedding = async {
        let shard = &app.app().actors.sessions.shards()[0];
        eventually("the refresh", async || shard.in_flight() == 1).await;
        for _ in 0..20 {
            assert_shed(&app.refresh(other.refresh_token()).await);
        }
        // What needs no shard is served.
        assert_eq!(app.get("/healthz").await.status, StatusCode::OK);
        brake.release().await;
    };
    let (response, ()) = tokio::join!(app.refresh(held.refresh_token()), shedding);
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!(app.refresh(other.refresh_token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_actor_that_does_not_come_back_makes_the_node_not_ready_and_sheds_what_needs_it() {
    let slow = [
        ("AUTH_ACTOR_BACKOFF_MIN", "1m"),
        ("AUTH_ACTOR_BACKOFF_MAX", "1m"),
        ("AUTH_ACTOR_CALL_TIMEOUT", "100ms"),
    ];
    let app = TestApp::start(&slow).await;
    let session = app.sign_up("fay@example.com").await.session();
    app.app().actors.passwords.kill();
    eventually("not ready", async || {
        app.get("/healthz").await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
    assert_shed(&app.sign_in("fay@example.com", PASSWORD).await);
    assert_eq!(app.refresh(session.refresh_token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_node_that_gave_up_finishes_what_it_has_begun() {
    let mut app = TestApp::start(&[("AUTH_ACTOR_MAX_RESTARTS", "0")]).await;
    let session = app.anonymous().await;
    let brake = Brake::on(&app.database, &session).await;
    let client = app.client().clone();
    let token = session.refresh_token().to_owned();
    let ending = async {
        let shard = &app.app().actors.sessions.shards()[0];
        eventually("the refresh", async || shard.in_flight() == 1).await;
        app.app().actors.change_feed.crash();
        app.node_mut().gave_up().await;
        let release = async {
            eventually("the end of the front end", async || {
                let request = client.request(reqwest::Method::GET, "/livez");
                Client::try_send(request.header("connection", "close")).await.is_err()
            })
            .await;
            brake.release().await;
        };
        tokio::join!(app.stop(), release);
    };
    let (response, ()) = tokio::join!(client.refresh(&token), ending);
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
}

const CHILD: &str = "operations::actors::a_server_whose_actor_fails_too_often";
const CHILD_DATABASE: &str = "KEYWRIGHT_TEST_CHILD_DATABASE";

/// Runs in a process of its own, since `run_node` takes over the signals of its process.
#[tokio::test]
#[ignore = "started by the test below"]
async fn a_server_whose_actor_fails_too_often() {
    let Some(url) = std::env::var_os(CHILD_DATABASE) else { return };
    let more = [("AUTH_ACTOR_MAX_RESTARTS", "2"), ("AUTH_ACTOR_BACKOFF_MIN", "1ms")];
    let sources = Sources::from_env(settings(url.to_str().unwrap(), &more));
    let config = Config::from_sources(&sources).unwrap().config;
    let node = Node::start(config, Clock::system()).await.unwrap();
    let (app, client) = (Arc::clone(node.app()), Client::new(format!("http://{}", node.address())));
    let sessions = sessions(&client, 4).await;
    let failing = async {
        for restarts in 1..=2 {
            app.actors.key_rotator.crash();
            restarted(&app, "key_rotator", restarts).await;
        }
        let response = client.post("/token", json!({"refreshToken": sessions[0].refresh_token()}));
        assert_eq!(response.await.status, StatusCode::OK);
        app.actors.key_rotator.crash();
    };
    let (code, ()) = tokio::join!(run_node(node, Signals::listen().unwrap()), failing);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
}

#[tokio::test]
async fn a_process_whose_actor_fails_too_often_ends_with_a_failure() {
    let database = crate::support::postgres::TestDatabase::new().await;
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored"])
        .env(CHILD_DATABASE, database.url())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
