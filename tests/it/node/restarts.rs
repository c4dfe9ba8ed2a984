//! Nodes that are signalled to end while clients use them: no request fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::app::{Client, Session, TestResponse};
use crate::support::postgres::TestDatabase;
use crate::support::process::{ServerProcess, send, serve};
use crate::support::smtp::eventually;
use crate::support::soak;

/// Long for whoever looks every few milliseconds.
const GRACE: &[(&str, &str)] = &[("AUTH_SHUTDOWN_GRACE", "1s")];

/// What clients have seen.
#[derive(Default)]
struct Seen {
    responses: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Seen {
    fn responses(&self) -> usize {
        self.responses.load(Ordering::SeqCst)
    }

    async fn more_responses(&self, count: usize) {
        let goal = self.responses() + count;
        eventually("more responses", async || self.responses() >= goal).await;
    }

    /// Refreshes once; `None` if the node takes no connections, which is no failure.
    async fn refresh(&self, client: &Client, held: &mut String) -> Option<TestResponse> {
        let request = client.request(Method::POST, "/token").json(&json!({"refreshToken": held}));
        match Client::try_send(request).await {
            Err(error) if error.is_connect() => return None,
            Err(error) => self.failures.lock().unwrap().push(format!("{error:?}")),
            Ok(response) if response.status == StatusCode::OK => {
                self.responses.fetch_add(1, Ordering::SeqCst);
                response.session().refresh_token().clone_into(held);
                return Some(response);
            }
            Ok(response) => self.failures.lock().unwrap().push(format!("{response:?}")),
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
async fn a_node_that_is_signalled_to_end_says_so_and_fails_no_request() {
    let database = TestDatabase::new().await;
    let (mut leaving, staying) = tokio::join!(
        ServerProcess::start(&database, GRACE),
        ServerProcess::start(&database, GRACE)
    );
    let sessions = sessions(staying.client(), 16).await;
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    // Each has a connection to the first node, until that asks it to go.
    let clients = sessions.iter().map(|session| {
        let [one, other] =
            [&leaving, &staying].map(|node| Client::new(node.client().base().to_owned()));
        let (seen, stop) = (&seen, &stop);
        async move {
            let (mut held, mut has_left) = (session.refresh_token().to_owned(), false);
            while !stop.is_cancelled() {
                let client = if has_left { &other } else { &one };
                let response = seen.refresh(client, &mut held).await;
                has_left |=
                    response.is_none_or(|response| response.header("connection") == Some("close"));
            }
            has_left
        }
    });
    let ending = async {
        seen.more_responses(100).await;
        leaving.signal(Signal::TERM);
        // It still serves while it says that it is not ready.
        eventually("it to be not ready", async || {
            let request = leaving.client().request(Method::GET, "/healthz");
            Client::try_send(request).await.unwrap().status == StatusCode::SERVICE_UNAVAILABLE
        })
        .await;
        assert_eq!(leaving.client().get("/version").await.status, StatusCode::OK);
        eventually("its end", async || {
            let request = leaving.client().request(Method::GET, "/livez");
            Client::try_send(request).await.is_err()
        })
        .await;
        seen.more_responses(100).await;
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
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::TERM]] {
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

#[tokio::test]
async fn a_server_that_is_still_starting_ends_when_signalled() {
    for signal in [Signal::TERM, Signal::INT] {
        // A Postgres that never says anything.
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/silent", silent.local_addr().unwrap());
        let database = TestDatabase::at(url, "silent");
        let mut server = serve(&database, &[]).kill_on_drop(true).spawn().unwrap();
        let _waiting = silent.accept().await.unwrap();
        send(server.id().unwrap(), signal);
        let ended = tokio::time::timeout(Duration::from_secs(20), server.wait()).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(0), "{signal:?}");
    }
}

/// A node as a balancer knows it.
struct Backend {
    process: tokio::sync::Mutex<ServerProcess>,
    client: Mutex<Client>,
    is_ready: AtomicBool,
}

impl Backend {
    async fn start(database: &TestDatabase) -> Self {
        let process = ServerProcess::start_quietly(database, GRACE).await;
        let client = Mutex::new(process.client().clone());
        Self { process: tokio::sync::Mutex::new(process), client, is_ready: AtomicBool::new(true) }
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap().clone()
    }

    /// One process ends, another one takes its place, and is found.
    async fn restart(&self, database: &TestDatabase) {
        let mut process = self.process.lock().await;
        process.signal(Signal::TERM);
        assert_eq!(process.wait().await, Some(0));
        assert!(!self.is_ready.load(Ordering::SeqCst), "it ended while the balancer used it");
        *process = ServerProcess::start_quietly(database, GRACE).await;
        process.client().clone_into(&mut self.client.lock().unwrap());
        eventually("the balancer", async || self.is_ready.load(Ordering::SeqCst)).await;
    }
}

/// Looks after its nodes as a balancer does: by `/healthz`.
async fn look_after(backends: &[Backend], stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while !stop.is_cancelled() {
        ticks.tick().await;
        for backend in backends {
            let request = backend.client().request(Method::GET, "/healthz");
            let response = Client::try_send(request).await;
            let is_ready = response.is_ok_and(|response| response.status == StatusCode::OK);
            backend.is_ready.store(is_ready, Ordering::SeqCst);
        }
    }
}

/// Refreshes at the nodes in turn.
async fn go_round(backends: &[Backend], session: &Session, seen: &Seen, stop: &CancellationToken) {
    let mut held = session.refresh_token().to_owned();
    let mut ticks = tokio::time::interval(Duration::from_millis(3));
    for backend in backends.iter().cycle() {
        if stop.is_cancelled() {
            return;
        }
        if backend.is_ready.load(Ordering::SeqCst) {
            ticks.tick().await;
            seen.refresh(&backend.client(), &mut held).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_behind_a_balancer_fails_no_request() {
    let database = TestDatabase::new().await;
    let starts = (0..3).map(|_| Backend::start(&database));
    let backends = join_all(starts).await;
    let sessions = sessions(&backends[0].client(), 12).await;
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    let clients = sessions.iter().map(|session| go_round(&backends, session, &seen, &stop));
    let rolling = async {
        let began = std::time::Instant::now();
        let mut rolls = 0;
        while rolls == 0 || soak::duration().is_some_and(|duration| began.elapsed() < duration) {
            for backend in &backends {
                seen.more_responses(50).await;
                backend.restart(&database).await;
            }
            rolls += 1;
        }
        seen.more_responses(50).await;
        stop.cancel();
    };
    tokio::join!(join_all(clients), look_after(&backends, &stop), rolling);
    seen.assert_no_failure();
}
