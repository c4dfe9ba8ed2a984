//! Clients that refresh without a pause and lose nothing, whatever the server does meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use tokio_util::sync::CancellationToken;

use super::app::{Client, Session, TestResponse};
use super::smtp::eventually;

/// What all clients together have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) rotations: AtomicUsize,
    /// 503 with Retry-After.
    pub(crate) refusals: AtomicUsize,
    /// Requests without a response.
    pub(crate) lost: AtomicUsize,
}

impl Seen {
    pub(crate) fn rotations(&self) -> usize {
        self.rotations.load(Ordering::SeqCst)
    }

    pub(crate) fn refusals(&self) -> usize {
        self.refusals.load(Ordering::SeqCst)
    }

    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    /// Waits until the clients got this many responses more.
    pub(crate) async fn more_rotations(&self, count: usize) {
        let goal = self.rotations() + count;
        eventually("more rotations", async || self.rotations() >= goal).await;
    }
}

/// Runs `faults` while a client for each session refreshes at `servers`; then every client must still
/// have its session at the last server.
///
/// A client asks the first server that gives it a response.
pub(crate) async fn under_load<T>(
    servers: &[Client],
    sessions: &[Session],
    faults: impl AsyncFnOnce(&Seen) -> T,
) -> (T, Seen) {
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    let clients = sessions.iter().map(|session| {
        let (seen, stop) = (&seen, &stop);
        async move {
            let mut held = session.refresh_token().to_owned();
            while !stop.is_cancelled() {
                if let Some(next) = refresh_once(servers, &held, seen).await {
                    held = next;
                }
            }
            held
        }
    });
    let work = async {
        seen.more_rotations(sessions.len()).await;
        let result = faults(&seen).await;
        stop.cancel();
        result
    };
    let (held, result) = tokio::join!(join_all(clients), work);
    let last = servers.last().expect("a server");
    for (token, session) in held.iter().zip(sessions) {
        let response = last.refresh(token).await;
        assert_eq!(response.status, StatusCode::OK, "a session was lost: {response:?}");
        assert_eq!(response.session().id(), session.id());
    }
    (result, seen)
}

async fn refresh_once(servers: &[Client], held: &str, seen: &Seen) -> Option<String> {
    for server in servers {
        let body = serde_json::json!({"refreshToken": held});
        let request = server.request(reqwest::Method::POST, "/token").json(&body);
        let Ok(response) = Client::try_send(request).await else {
            seen.lost.fetch_add(1, Ordering::SeqCst);
            // A server that is gone fails at once; this leaves time for others.
            tokio::task::yield_now().await;
            continue;
        };
        if response.status == StatusCode::OK {
            seen.rotations.fetch_add(1, Ordering::SeqCst);
            return Some(response.session().refresh_token().to_owned());
        }
        assert_shed(&response);
        seen.refusals.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    None
}

/// The only refusal that a fault may cause.
#[track_caller]
pub(crate) fn assert_shed(response: &TestResponse) {
    response.assert_refused(503, "service-unavailable");
    let after = response.headers.get(RETRY_AFTER).expect("it says when to come back");
    assert!(after.to_str().unwrap().parse::<u32>().unwrap() >= 1);
}
