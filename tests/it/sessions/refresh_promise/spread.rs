//! Many sessions, each used once, while a node is killed and Postgres crashes: whoever asks again
//! until there is a response keeps the session, and has the same next token.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;

use crate::support::app::{Client, Session};
use crate::support::cluster::{Cluster, End};
use crate::support::process::ServerProcess;
use crate::support::soak::Soak;

const SESSIONS: usize = 600;
const AT_ONCE: usize = 24;
const SETTINGS: &[(&str, &str)] = &[
    ("AUTH_REFRESH_TOKEN_GRACE", "3600"),
    ("AUTH_ACTOR_CALL_TIMEOUT", "1s"),
    ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "1s"),
    ("AUTH_HTTP_REQUEST_TIMEOUT", "2s"),
];

/// Between two tries, as clients do.
#[expect(clippy::disallowed_methods, reason = "a process that is gone tells nobody")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// The response to the first request that has one, of whichever node; anything but a session or a
/// failure of the server is a broken promise.
async fn refresh_until_served(nodes: &[Client], first: usize, token: &str) -> Session {
    for try_ in 0..300 {
        let node = &nodes[(first + try_) % nodes.len()];
        let body = json!({"refreshToken": token});
        match Client::try_send(node.request(Method::POST, "/token").json(&body)).await {
            Ok(response) if response.status == StatusCode::OK => return response.session(),
            Ok(response) => assert!(response.status.is_server_error(), "{response:?}"),
            Err(_) => pause().await,
        }
    }
    panic!("no node responds");
}

#[tokio::test]
async fn sessions_that_are_used_once_each_survive_a_node_and_a_postgres_that_die_meanwhile() {
    let mut cluster = Cluster::start().await;
    let database = cluster.behind_link();
    let mut doomed = ServerProcess::start_quietly(&database, SETTINGS).await;
    let steady = ServerProcess::start_quietly(&database, SETTINGS).await;
    let mut soak = Soak::new("sessions_that_are_used_once");
    while soak.next_round().is_some() {
        let sign_in = |_| steady.client().anonymous();
        let sessions: Vec<Session> =
            stream::iter(0..SESSIONS).map(sign_in).buffer_unordered(AT_ONCE).collect().await;
        let nodes = [doomed.client().clone(), steady.client().clone()];
        let done = AtomicUsize::new(0);
        let (progress, seen) = watch::channel(0);
        let refreshes = stream::iter(sessions.iter().enumerate()).map(|(at, session)| {
            let (nodes, done, progress) = (&nodes, &done, &progress);
            async move {
                let next = refresh_until_served(nodes, at, session.refresh_token()).await;
                progress.send_replace(done.fetch_add(1, Ordering::Relaxed) + 1);
                (session, next)
            }
        });
        let refreshes = refreshes.buffer_unordered(AT_ONCE).collect::<Vec<_>>();
        let reached = async |many: usize| {
            seen.clone().wait_for(|done| *done >= many).await.unwrap();
        };
        let trouble = async {
            reached(SESSIONS / 4).await;
            doomed.kill().await;
            reached(SESSIONS / 2).await;
            cluster.stop(End::Immediate).await;
            cluster.restart().await;
        };
        let (traded, ()) = tokio::join!(refreshes, trouble);
        doomed = ServerProcess::start_quietly(&database, SETTINGS).await;
        let nodes = [doomed.client().clone(), steady.client().clone()];
        let checks = stream::iter(traded.iter().enumerate()).map(|(at, (session, next))| {
            let nodes = &nodes;
            async move {
                assert_eq!(next.id(), session.id());
                assert_eq!(next.user_id(), session.user_id());
                // Who lost the response and asks again has the same.
                let again = refresh_until_served(nodes, at, session.refresh_token()).await;
                assert_eq!(again.refresh_token(), next.refresh_token());
                let last = refresh_until_served(nodes, at + 1, next.refresh_token()).await;
                assert_eq!(last.id(), session.id());
            }
        });
        checks.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
}
