//! Nodes that are told to end while clients use them: no request fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::app::{Answer, Client, Session};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;
use crate::support::soak;

/// Long for whoever looks every few milliseconds.
const GRACE: &[(&str, &str)] = &[("AUTH_SHUTDOWN_GRACE", "500ms")];

/// What clients have seen.
#[derive(Default)]
struct Seen {
    answers: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Seen {
    fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    async fn more_answers(&self, count: usize) {
        let goal = self.answers() + count;
        eventually("more answers", async || self.answers() >= goal).await;
    }

    /// Refreshes once; `None` if the node takes no connections, which is no failure.
    async fn refresh(&self, client: &Client, held: &mut String) -> Option<Answer> {
        let request = client.request(Method::POST, "/token").json(&json!({"refreshToken": held}));
        match Client::try_send(request).await {
            Err(error) if error.is_connect() => return None,
            Err(error) => self.failures.lock().unwrap().push(format!("{error:?}")),
            Ok(answer) if answer.status == StatusCode::OK => {
                self.answers.fetch_add(1, Ordering::SeqCst);
                answer.session().refresh_token().clone_into(held);
                return Some(answer);
            }
            Ok(answer) => self.failures.lock().unwrap().push(format!("{answer:?}")),
        }
        None
    }

    fn assert_no_failure(&self) {
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{} failures: {:#?}", failures.len(), failures.first());
    }
}

async fn sessions(client: &Client, count: usize) -> Vec<Session> {
    join_all((0..count).map(|_| client.anonymous())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_told_to_end_says_so_and_fails_no_request() {
    let database = TestDatabase::new().await;
    let (mut leaving, staying) = tokio::join!(
        ServerProcess::start(&database, GRACE),
        ServerProcess::start(&database, GRACE)
    );
    let sessions = sessions(staying.client(), 16).await;
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    // Each has a connection to the first node, until that asks it to go.
    let clients = sessions.iter().map(|session| {
        let [one, other] = [&leaving, &staying].map(|node| Client::new(node.client().base().to_owned()));
        let (seen, stop) = (&seen, &stop);
        async move {
            let (mut held, mut has_left) = (session.refresh_token().to_owned(), false);
            while !stop.is_cancelled() {
                let client = if has_left { &other } else { &one };
                let answer = seen.refresh(client, &mut held).await;
                has_left |= answer.is_none_or(|answer| answer.header("connection") == Some("close"));
            }
            has_left
        }
    });
    let signal = leaving.signal_later();
    let ending = async {
        seen.more_answers(100).await;
        signal(Signal::SIGTERM);
        // It still serves while it says that it is not ready.
        eventually("it to be not ready", async || {
            let request = leaving.client().request(Method::GET, "/healthz");
            Client::try_send(request).await.unwrap().status == StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
        leaving.client().get("/version").await;
        eventually("its end", async || {
            let request = leaving.client().request(Method::GET, "/livez");
            Client::try_send(request).await.is_err()
        })
        .await;
        seen.more_answers(100).await;
        stop.cancel();
    };
    let (have_left, ()) = tokio::join!(join_all(clients), ending);
    seen.assert_no_failure();
    assert!(have_left.into_iter().all(|has_left| has_left));
    assert_eq!(leaving.wait().await, Some(0));
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_the_grace_period() {
    let database = TestDatabase::new().await;
    for signals in [&[Signal::SIGINT][..], &[Signal::SIGTERM, Signal::SIGTERM]] {
        let long = [("AUTH_SHUTDOWN_GRACE", "1h")];
        let mut server = ServerProcess::start(&database, &long).await;
        for (number, signal) in signals.iter().enumerate() {
            if number > 0 {
                eventually("it to be not ready", async || {
                    server.client().get("/healthz").await.status == StatusCode::SERVICE_UNAVAILABLE
                })
                .await;
            }
            server.signal(*signal);
        }
        let ended = tokio::time::timeout(Duration::from_secs(20), server.wait()).await;
        assert_eq!(ended.unwrap(), Some(0));
    }
}

/// A node as a balancer knows it.
struct Backend {
    process: ServerProcess,
    client: Mutex<Client>,
    is_ready: AtomicBool,
}

impl Backend {
    async fn start(database: &TestDatabase) -> Self {
        let process = ServerProcess::start_quietly(database, GRACE).await;
        let client = Mutex::new(process.client().clone());
        Self { process, client, is_ready: AtomicBool::new(true) }
    }
}
