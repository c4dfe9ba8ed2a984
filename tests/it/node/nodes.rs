//! Server processes on one database: equal, replaceable, and gone without a trace.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::join_all;
use keywright::domain::clock::Clock;
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, Session, TestApp};
use crate::support::brake::Brake;
use crate::support::load::under_load;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;

async fn two_processes(database: &TestDatabase) -> [ServerProcess; 2] {
    let (one, other) =
        tokio::join!(ServerProcess::start(database, &[]), ServerProcess::start(database, &[]));
    [one, other]
}

async fn sessions(client: &Client, count: usize) -> Vec<Session> {
    join_all((0..count).map(|_| client.anonymous())).await
}

#[tokio::test]
async fn two_processes_on_one_database_behave_as_one() {
    let database = TestDatabase::new().await;
    let nodes = two_processes(&database).await;
    let [one, other] = nodes.each_ref().map(ServerProcess::client);

    let signed_up = one.sign_up("bea@example.com").await.session();
    let signed_in = other.sign_in("bea@example.com", PASSWORD).await.session();
    assert_eq!(signed_in.user_id(), signed_up.user_id());
    let uses = (0..20).map(|n| [one, other][n % 2].refresh(signed_up.refresh_token()));
    let next_tokens: HashSet<String> = join_all(uses)
        .await
        .iter()
        .map(|response| response.session().refresh_token().to_owned())
        .collect();
    assert_eq!(next_tokens.len(), 1);

    // An access token of one is good at the other.
    let profile = other.get_as("/user", signed_up.access_token()).await;
    assert_eq!(profile.json()["email"], "bea@example.com");

    let mut connection = database.connection().await;
    for (disabled, status) in [(true, StatusCode::UNAUTHORIZED), (false, StatusCode::OK)] {
        sqlx::query("update auth.users set disabled = $2 where id = $1")
            .bind(signed_up.user_id())
            .bind(disabled)
            .execute(&mut connection)
            .await
            .unwrap();
        for node in [one, other] {
            eventually("both to notice", async || {
                node.get_as("/user", signed_up.access_token()).await.status == status
            })
            .await;
        }
    }
    let body = json!({"all": true});
    let out = one.post_as("/signout", signed_up.access_token(), body).await;
    assert_eq!(out.status, StatusCode::OK);
    let current = next_tokens.into_iter().next().unwrap();
    for token in [&current, signed_in.refresh_token()] {
        other.refresh(token).await.assert_refused(401, "invalid-refresh-token");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_under_load_loses_no_acknowledged_rotation() {
    let database = TestDatabase::new().await;
    let mut survivor = ServerProcess::start(&database, &[]).await;
    for _ in 0..3 {
        let mut victim = ServerProcess::start(&database, &[]).await;
        let clients = [victim.client().clone(), survivor.client().clone()];
        let sessions = sessions(survivor.client(), 24).await;
        let ((), seen) = under_load(&clients, &sessions, async |seen| {
            seen.more_rotations(200).await;
            victim.kill().await;
            seen.more_rotations(100).await;
        })
        .await;
        assert!(seen.lost() > 0, "it was killed in the middle of load");
        assert_eq!(seen.refusals(), 0);
    }
    survivor.signal(Signal::INT);
    assert_eq!(survivor.wait().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_process_refuses_nothing_and_ends_well() {
    let database = TestDatabase::new().await;
    let [mut leaving, staying] = two_processes(&database).await;
    let clients = [leaving.client().clone(), staying.client().clone()];
    let sessions = sessions(staying.client(), 24).await;
    let (code, seen) = under_load(&clients, &sessions, async |seen| {
        seen.more_rotations(200).await;
        leaving.signal(Signal::TERM);
        let code = leaving.wait().await;
        seen.more_rotations(100).await;
        code
    })
    .await;
    assert_eq!(code, Some(0));
    assert_eq!(seen.refusals(), 0);
}

#[tokio::test]
async fn a_terminated_process_finishes_the_requests_that_it_has_begun() {
    let database = TestDatabase::new().await;
    let mut server = ServerProcess::start(&database, &[]).await;
    let session = server.client().anonymous().await;
    let mut brake = Brake::on(&database, &session).await;
    let client = server.client().clone();
    let terminating = async {
        brake.keeps(1).await;
        server.signal(Signal::TERM);
        eventually("it to accept nothing more", async || {
            let request = server.client().request(reqwest::Method::GET, "/livez");
            Client::try_send(request.header("connection", "close")).await.is_err()
        })
        .await;
        brake.release().await;
        server.wait().await
    };
    let (response, code) = tokio::join!(client.refresh(session.refresh_token()), terminating);
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once_and_agree() {
    let database = TestDatabase::empty().await;
    let starts = (0..3).map(|_| ServerProcess::start(&database, &[]));
    let nodes = join_all(starts).await;
    let mut session = nodes[0].client().anonymous().await;
    for node in &nodes {
        session = node.client().refresh(session.refresh_token()).await.session();
    }
    // Each has the same rotation key: a repeated use gets the same next token everywhere.
    let mut next_tokens = HashSet::new();
    for node in &nodes {
        let response = node.client().refresh(session.refresh_token()).await;
        next_tokens.insert(response.session().refresh_token().to_owned());
    }
    assert_eq!(next_tokens.len(), 1);
}

#[tokio::test]
async fn a_restarted_process_finds_everything() {
    let database = TestDatabase::new().await;
    let mut server = ServerProcess::start(&database, &[]).await;
    let first = server.client().sign_up("cy@example.com").await.session();
    let second = server.client().refresh(first.refresh_token()).await.session();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await, Some(0));

    let server = ServerProcess::start(&database, &[]).await;
    let repeated = server.client().refresh(first.refresh_token()).await.session();
    assert_eq!(repeated.refresh_token(), second.refresh_token());
    let user = server.client().get_as("/user", second.access_token()).await;
    assert_eq!(user.json()["id"], first.user_id().to_string());
    assert_eq!(server.client().refresh(second.refresh_token()).await.status, StatusCode::OK);
    let signed_in = server.client().sign_in("cy@example.com", PASSWORD).await;
    assert_eq!(signed_in.session().user_id(), first.user_id());
}

#[tokio::test]
async fn what_is_reported_right_after_a_statement_is_in_the_log() {
    let database = TestDatabase::new().await;
    // A single thread carries out the statement and reports.
    let server = ServerProcess::start(&database, &[("AUTH_WORKER_THREADS", "1")]).await;
    for number in 1..=5 {
        let session = server.client().anonymous().await;
        server.client().refresh(session.refresh_token()).await.session();
        let age = "update auth.refresh_tokens set keywright_rotated_at = now() - interval '1 hour'";
        database.execute(age).await;
        let late = server.client().refresh(session.refresh_token()).await;
        late.assert_refused(401, "invalid-refresh-token");
        eventually("its line", async || {
            let is_report = |line: &Value| line["security_event"] == "refresh-token-reuse";
            server.log().into_iter().filter(is_report).count() == number
        })
        .await;
    }
}

#[tokio::test]
async fn a_fresh_token_of_a_node_whose_clock_is_ahead_is_good_at_the_others() {
    let database = Arc::new(TestDatabase::new().await);
    let fast = Clock::system();
    fast.go_wrong(time::Duration::seconds(3));
    let (one, other) = tokio::join!(
        TestApp::start_at(Arc::clone(&database), fast.clone(), &[]),
        TestApp::start_at(Arc::clone(&database), Clock::system(), &[]),
    );
    let session = one.sign_up("bea@example.com").await.session();
    assert_eq!(other.get_as("/user", session.access_token()).await.status, StatusCode::OK);
    let verified = other.post("/token/verify", json!({"token": session.access_token()})).await;
    assert_eq!(verified.status, StatusCode::OK, "{verified:?}");
    // Clocks further apart are a mistake, and no token is good before its time.
    fast.go_wrong(time::Duration::minutes(1));
    let early = one.sign_in("bea@example.com", PASSWORD).await.session();
    assert_ne!(other.get_as("/user", early.access_token()).await.status, StatusCode::OK);
}
