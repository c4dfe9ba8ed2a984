//! Postgres stops, comes back, hangs: requests are shed, and nothing else is lost.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keywright::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use reqwest::StatusCode;
use serde_json::json;

use crate::support::app::{PASSWORD, Session, TestApp, TestResponse};
use crate::support::link::{Fault, Link, On};
use crate::support::load::{Seen, assert_shed, under_load};
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;

/// A server that does not wait long.
const HASTY: &[(&str, &str)] = &[
    ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "1s"),
    ("AUTH_ACTOR_CALL_TIMEOUT", "1s"),
    ("AUTH_HTTP_REQUEST_TIMEOUT", "2s"),
    ("AUTH_ACTOR_MAX_RESTARTS", "0"),
];
/// The longest time that such a server may take to say no, with room for a busy machine.
const QUICK: Duration = Duration::from_secs(4);

async fn hasty(link: &Link, database: &str) -> TestApp {
    let database = TestDatabase::at(link.url(database), database);
    TestApp::start_on(Arc::new(database), HASTY).await
}

async fn sessions(app: &TestApp, count: usize) -> Vec<Session> {
    join_all((0..count).map(|_| app.anonymous())).await
}

/// Every kind of request is shed quickly.
async fn all_is_shed(app: &TestApp, session: &Session) {
    let began = Instant::now();
    let responses = tokio::join!(
        app.refresh(session.refresh_token()),
        app.refresh("9a1b0c6e-0000-4000-8000-000000000000"),
        app.sign_in("ida@example.com", PASSWORD),
        app.sign_up("new@example.com"),
        app.post("/signin/anonymous", json!({})),
        app.post("/signout", json!({"refreshToken": session.refresh_token()})),
    );
    assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
    for response in <[TestResponse; 6]>::from(responses) {
        response.assert_refused(503, "service-unavailable");
    }
    let health = app.get("/healthz").await;
    assert_shed(&health);
    assert_eq!(app.get("/livez").await.status, StatusCode::OK);
    assert_eq!(app.get("/version").await.status, StatusCode::OK);
}

async fn refusals(seen: &Seen, count: usize) {
    let goal = seen.refusals() + count;
    eventually("refusals", async || seen.refusals() >= goal).await;
}

/// The cluster's folder, deleted at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_stops_and_starts_again_costs_no_session() {
    let folder = Folder(std::env::temp_dir().join(format!("kw-{}", uuid::Uuid::new_v4().simple())));
    std::fs::create_dir(&folder.0).unwrap();
    let start = async || {
        let options =
            EmbeddedOptions { durable: false, ..EmbeddedOptions::kept(folder.0.join("pg")) };
        EmbeddedPostgres::start(options).await.unwrap()
    };
    let cluster = start().await;
    cluster.create_database("away").await.unwrap();
    let link = Link::to(&cluster.url("away")).await;
    let app = hasty(&link, "away").await;
    app.sign_up("ida@example.com").await.session();
    let (idle, sessions) = (app.anonymous().await, sessions(&app, 12).await);
    let (cluster, seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        seen.more_rotations(100).await;
        cluster.stop().await;
        refusals(seen, 24).await;
        all_is_shed(&app, &idle).await;
        let cluster = start().await;
        link.lead_to(&cluster.url("away"));
        seen.more_rotations(100).await;
        cluster
    })
    .await;
    assert_eq!(seen.lost(), 0);
    assert_eq!(app.refresh(idle.refresh_token()).await.status, StatusCode::OK);
    app.sign_in("ida@example.com", PASSWORD).await.session();
    eventually("ready", async || app.get("/healthz").await.status == StatusCode::OK).await;
    app.stop().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_connections_cost_no_session() {
    let database = TestDatabase::new().await;
    let link = Link::to(&database.url()).await;
    let app = hasty(&link, database.name()).await;
    let sessions = sessions(&app, 12).await;
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        for _ in 0..5 {
            link.set(Fault::Cut(On::All));
            refusals(seen, 12).await;
            link.set(Fault::None);
            seen.more_rotations(50).await;
        }
    })
    .await;
    assert_eq!(seen.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_hangs_for_a_while_costs_no_session() {
    let database = TestDatabase::new().await;
    let link = Link::to(&database.url()).await;
    let app = hasty(&link, database.name()).await;
    app.sign_up("ida@example.com").await.session();
    let (idle, sessions) = (app.anonymous().await, sessions(&app, 12).await);
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        link.set(Fault::Freeze(On::All));
        refusals(seen, 12).await;
        all_is_shed(&app, &idle).await;
        link.set(Fault::None);
        seen.more_rotations(50).await;
    })
    .await;
    assert_eq!(seen.lost(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_for_ever_are_given_up_and_replaced() {
    let database = TestDatabase::new().await;
    let link = Link::to(&database.url()).await;
    let app = hasty(&link, database.name()).await;
    let sessions = sessions(&app, 12).await;
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        seen.more_rotations(50).await;
        // As after a fail-over: what was open is dead without a word, new connections are fine.
        link.set(Fault::Freeze(On::Present));
        seen.more_rotations(50).await;
    })
    .await;
    assert_eq!(seen.lost(), 0);
    let stopping = Instant::now();
    app.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(20), "{:?}", stopping.elapsed());
}

/// The pool has room for few, so that each connection that is lost to a dead link would be missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_everything_takes_no_connection_for_good() {
    let database = TestDatabase::new().await;
    let link = Link::to(&database.url()).await;
    let name = database.name().to_owned();
    let at = Arc::new(TestDatabase::at(link.url(&name), &name));
    let settings = [HASTY, &[("AUTH_POSTGRES_MAX_CONNECTIONS", "4")]].concat();
    let app = TestApp::start_on(at, &settings).await;
    app.sign_up("ida@example.com").await.session();
    let (idle, sessions) = (app.anonymous().await, sessions(&app, 8).await);
    let ((), seen) = under_load(&[app.client().clone()], &sessions, async |seen| {
        // What is under way when the network goes is dropped in the middle of its statement or
        // transaction: more than there are connections.
        let asked = join_all((0..8).map(|_| app.sign_in("ida@example.com", PASSWORD)));
        let swallow = async {
            tokio::task::yield_now().await;
            link.set(Fault::Freeze(On::All));
        };
        tokio::join!(asked, swallow);
        for _ in 0..3 {
            all_is_shed(&app, &idle).await;
        }
        link.set(Fault::None);
        let began = Instant::now();
        seen.more_rotations(20).await;
        eventually("all to be served", async || {
            app.sign_in("ida@example.com", PASSWORD).await.status == StatusCode::OK
        })
        .await;
        assert!(began.elapsed() < QUICK, "{:?}", began.elapsed());
    })
    .await;
    assert_eq!(seen.lost(), 0);
    // The node has no more than it may have, and nothing of it is left behind.
    let connections = format!(
        "select count(*) from pg_stat_activity
          where datname = '{name}' and application_name = 'keywright' and pid <> pg_backend_pid()"
    );
    eventually("no more connections than configured", async || {
        database.count(&connections).await <= 4
    })
    .await;
    app.stop().await;
    eventually("no connection", async || database.count(&connections).await == 0).await;
}
