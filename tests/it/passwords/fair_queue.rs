//! The hasher's queue is shared by client networks (docs/reference-behaviour.md#hashing-is-shared).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::ceremonies::{ON, begin_sign_in, sign_up};
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;

const OWNER: &str = "198.51.100.7";

/// A queue that is soon full, of hashes that take some milliseconds.
const SMALL: [(&str, &str); 6] = [
    ON,
    ("AUTH_PASSWORD_ARGON2_MEMORY_KIB", "4096"),
    ("AUTH_PASSWORD_ARGON2_ITERATIONS", "4"),
    ("AUTH_PASSWORD_HASH_THREADS", "1"),
    ("AUTH_PASSWORD_HASH_QUEUE", "8"),
    ("AUTH_STORAGE_COMPATIBILITY", "keywright"),
];

async fn post_from(client: &Client, network: &str, path: &str, body: &Value) -> TestResponse {
    let request = client.request(Method::POST, path).header("x-forwarded-for", network);
    Client::send(request.json(body)).await
}

/// Many who sign in without a pause, from one network, until it is dropped.
struct Flood {
    shed: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Flood {
    fn start(client: &Client, network: &'static str) -> Self {
        let (shed, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for task in 0..32 {
            let (client, shed) = (client.clone(), Arc::clone(&shed));
            let is_over = Arc::clone(&is_over);
            tasks.spawn(async move {
                let mut number = 0;
                while !is_over.load(Ordering::Relaxed) {
                    // Always another account, since attempts at one are counted.
                    number += 1;
                    let email = format!("nobody-{task}-{number}@example.com");
                    let body = json!({"email": email, "password": PASSWORD});
                    let path = "/signin/email-password";
                    let response = post_from(&client, network, path, &body).await;
                    shed.fetch_add(usize::from(response.status == 503), Ordering::Relaxed);
                }
            });
        }
        Self { shed, is_over, _tasks: tasks }
    }

    fn shed(&self) -> usize {
        self.shed.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_fills_the_hash_queue_keeps_nobody_else_out() {
    let app = TestApp::start(&SMALL).await;
    let mut key = SecurityKey::new();
    sign_up(&app, "key@example.com", &mut key).await;
    let ann = json!({"email": "ann@example.com", "password": PASSWORD});
    post_from(&app, OWNER, "/signup/email-password", &ann).await.session();

    let flood = Flood::start(&app, "203.0.113.66");
    eventually("a full queue", async || flood.shed() > 20).await;
    for round in 0..10 {
        let before = flood.shed();
        let response = post_from(&app, OWNER, "/signin/email-password", &ann).await;
        assert_eq!(response.status, 200, "{round}: {response:?}");
        let body = json!({"refreshToken": response.session().refresh_token()});
        let response = post_from(&app, OWNER, "/token", &body).await;
        assert_eq!(response.status, 200, "{round}: {response:?}");
        let credential = key.get(&begin_sign_in(&app, Some("key@example.com")).await);
        let body = json!({"credential": credential});
        let response = post_from(&app, OWNER, "/signin/webauthn/verify", &body).await;
        assert_eq!(response.status, 200, "{round}: {response:?}");
        let new = json!({"email": format!("new-{round}@example.com"), "password": PASSWORD});
        let response = post_from(&app, OWNER, "/signup/email-password", &new).await;
        assert_eq!(response.status, 200, "{round}: {response:?}");
        eventually("the flood to be refused", async || flood.shed() > before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_of_ipv6_are_one_client_and_several_clients_share() {
    let app = TestApp::start(&SMALL).await;
    app.sign_up("ann@example.com").await.session();
    let ann = json!({"email": "ann@example.com", "password": PASSWORD});
    let floods = ["2001:db8::1", "2001:db8::ffff:2", "203.0.113.1"]
        .map(|network| Flood::start(&app, network));
    eventually("full queues", async || floods.iter().all(|flood| flood.shed() > 5)).await;
    for _ in 0..5 {
        let response = post_from(&app, "2001:db8:0:1::1", "/signin/email-password", &ann).await;
        assert_eq!(response.status, 200, "{response:?}");
    }
}
