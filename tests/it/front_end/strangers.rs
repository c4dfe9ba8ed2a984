//! One client network takes all that it can get, while somebody elsewhere signs in.
//!
//! The server has a process of its own, so that its memory can be measured, and trusts no proxy, so
//! that each address of this machine is a client network. Set `KEYWRIGHT_SHOW_FIGURES` to see times
//! and memory.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::support::app::{Client, PASSWORD, Session};
use crate::support::ceremonies::{ON, sign_in, sign_up};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;

const OTHER: [u8; 4] = [127, 0, 0, 2];

/// Connections that the greedy one wants at once: more than the server has.
const GREED: usize = 100;

/// When each of them tries again at the earliest: a bound is to be reached, not the machine's end.
const AGAIN: Duration = Duration::from_millis(100);

/// So many of these times nothing is read, which is longer than a client may do that.
const UNREAD_TICKS: usize = 30;

const ROUNDS: usize = 20;

/// Few places, so that they are taken quickly: 32 connections, 16 requests.
const BOUNDS: [(&str, &str); 5] = [
    ON,
    ("AUTH_TRUSTED_PROXIES", "none"),
    ("AUTH_HTTP_MAX_CONCURRENCY", "16"),
    ("AUTH_HTTP_BODY_BUDGET_MIB", "1"),
    ("AUTH_HTTP_WRITE_TIMEOUT", "2s"),
];

/// Somebody with a password and a passkey, at another address.
struct Honest {
    client: Client,
    session: Session,
    key: SecurityKey,
}

impl Honest {
    async fn new(server: &ServerProcess) -> Self {
        let client = server.client().at_address(OTHER);
        client.sign_up("ann@example.com").await.session();
        let mut key = SecurityKey::new();
        let session = sign_up(&client, "key@example.com", &mut key).await;
        Self { client, session, key }
    }

    /// Signs in, refreshes and uses a passkey, again and again; the times of all requests, sorted.
    async fn goes_on(&mut self) -> Vec<Duration> {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let started = Instant::now();
            self.client.sign_in("ann@example.com", PASSWORD).await.session();
            times.push(started.elapsed());
            let started = Instant::now();
            self.session = self.client.refresh(self.session.refresh_token()).await.session();
            times.push(started.elapsed());
            let started = Instant::now();
            sign_in(&self.client, None, &mut self.key).await.session();
            times.push(started.elapsed() / 2);
        }
        times.sort_unstable();
        times
    }
}

/// Connects, says it and waits to be closed, again and again; or else reads nothing.
async fn insists(address: &str, said: &[u8], reads: bool) {
    let mut again = interval(AGAIN);
    loop {
        again.tick().await;
        let Ok(mut stream) = connect_narrowly(address).await else { continue };
        if stream.write_all(said).await.is_ok() {
            if reads {
                // Whatever is said is refused, or never has an end.
                closed(&mut stream).await;
            }
            for _ in 0..UNREAD_TICKS {
                if reads {
                    break;
                }
                again.tick().await;
            }
        }
    }
}

/// Reads to the end.
async fn closed(stream: &mut TcpStream) {
    let mut few = [0; 256];
    while stream.read(&mut few).await.is_ok_and(|read| read > 0) {
        tokio::task::yield_now().await;
    }
}

async fn connect_narrowly(address: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    socket.connect(address.parse().unwrap()).await
}

fn address_of(server: &ServerProcess) -> String {
    server.client().base().trim_start_matches("http://").to_owned()
}

#[expect(clippy::print_stderr, reason = "who runs one test alone sees it here")]
fn show(what: &str, times: &[Duration], server: &ServerProcess) {
    if std::env::var_os("KEYWRIGHT_SHOW_FIGURES").is_some() {
        let (half, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        eprintln!("{what}: p50 {half:?}, p99 {p99:?}, {:?}", server.memory());
    }
}

/// All goes well elsewhere while one client network says this over as many connections as it gets.
async fn others_go_on_while_one_says(what: &str, said: Vec<u8>) {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &BOUNDS).await;
    others_go_on_at(&server, what, said, true).await;
}

async fn others_go_on_at(server: &ServerProcess, what: &str, said: Vec<u8>, reads: bool) {
    let mut honest = Honest::new(server).await;
    show(&format!("before {what}"), &honest.goes_on().await, server);
    let (address, said) = (address_of(server), std::sync::Arc::new(said));
    let mut greedy = JoinSet::new();
    for _ in 0..GREED {
        let (address, said) = (address.clone(), std::sync::Arc::clone(&said));
        greedy.spawn(async move { insists(&address, &said, reads).await });
    }
    eventually("the bound to be reached", async || {
        server.log().iter().any(|line| {
            line["msg"].as_str().is_some_and(|text| {
                text.contains("client network") || text.starts_with("requests refused")
            })
        })
    })
    .await;
    let times = honest.goes_on().await;
    show(what, &times, server);
    greedy.shutdown().await;
    assert_eq!(server.log().iter().filter(|line| line["level"] == "ERROR").count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out() {
    others_go_on_while_one_says("silent connections", Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_keep_nobody_out() {
    let said = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec();
    others_go_on_while_one_says("idle connections", said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_bodies_keep_nobody_out() {
    let head = "POST /signup/email-password HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n";
    let mut said = head.as_bytes().to_vec();
    said.resize(500_000, b'x');
    others_go_on_while_one_says("unfinished bodies", said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_over_many_streams_keep_nobody_out() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &BOUNDS).await;
    let mut honest = Honest::new(&server).await;
    let address = address_of(&server);
    let uri = format!("http://{address}/signin/email-password");
    let stream = TcpStream::connect(&address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let stream = hyper_util::rt::TokioIo::new(stream);
    let (client, connection) =
        hyper::client::conn::http2::handshake(executor, stream).await.unwrap();
    let mut greedy = JoinSet::new();
    greedy.spawn(async move {
        let _ = connection.await;
    });
    for _ in 0..GREED {
        let (mut client, uri) = (client.clone(), uri.clone());
        greedy.spawn(async move {
            let mut again = interval(AGAIN);
            loop {
                again.tick().await;
                let endless = stream::pending::<Result<Frame<Bytes>, Infallible>>();
                let request = http::Request::post(&uri).body(StreamBody::new(endless)).unwrap();
                let _ = client.send_request(request).await;
            }
        });
    }
    eventually("requests to be refused", async || {
        server.log().iter().any(|line| {
            line["msg"].as_str().is_some_and(|text| text.starts_with("requests refused"))
        })
    })
    .await;
    show("requests over many streams", &honest.goes_on().await, &server);
    greedy.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_responses_keep_nobody_out() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &BOUNDS).await;
    let account = json!({
        "email": "eve@example.com", "password": PASSWORD,
        "options": {"metadata": {"a": "x".repeat(16_000)}},
    });
    let eve = server.client().post("/signup/email-password", account).await.session();
    let request = format!(
        "GET /user HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        eve.access_token()
    );
    let said = request.repeat(20).into_bytes();
    others_go_on_at(&server, "unread responses", said, false).await;
}

/// What 300 of each may add, as docs/operations.md says it: the budget, 200 KiB a connection and 70 KiB
/// a request.
const MOST_KIB: u64 = 16 * 1_024 + 2 * 300 * (200 + 70);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_unread_responses_and_unfinished_bodies_stay_within_the_stated_memory() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(
        &database,
        &[("AUTH_HTTP_MAX_CONCURRENCY", "1000"), ("AUTH_HTTP_BODY_BUDGET_MIB", "16")],
    )
    .await;
    let (client, address) = (server.client(), address_of(&server));
    let user = client.sign_up("ann@example.com").await.session().user_id();
    // Larger than what is accepted today.
    let large = format!(
        "update auth.users set metadata = jsonb_build_object('a', repeat('x', 1000000)) where id = '{user}'"
    );
    let mut tokens = Vec::new();
    for _ in 0..300 {
        let session = client.sign_in("ann@example.com", PASSWORD).await.session();
        tokens.push(session.refresh_token().to_owned());
    }
    database.execute(&large).await;
    let before = server.memory();
    let unfinished = join_all((0..300).map(|_| async {
        let mut stream = connect_narrowly(&address).await.unwrap();
        let head =
            "POST /signup/email-password HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // It may be refused in the middle.
        let _ = stream.write_all(&vec![b'x'; 999_999]).await;
        stream
    }))
    .await;
    let unread = join_all(tokens.iter().map(|token| {
        let address = &address;
        async move {
            let mut stream = connect_narrowly(address).await.unwrap();
            let body = json!({"refreshToken": token}).to_string();
            let request = format!(
                "POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            // Something has come, so that the response has been made.
            stream.readable().await.unwrap();
            stream
        }
    }))
    .await;
    let after = server.memory();
    let added = after.peak_kib.saturating_sub(before.resident_kib);
    show(&format!("300 and 300 added {added} KiB"), &[Duration::ZERO], &server);
    assert!(added < MOST_KIB, "{before:?}, {after:?}");
    drop((unfinished, unread));
    // Nothing is left of it.
    eventually("the budget to be free", async || {
        let body = json!({"email": "new@example.com", "password": "x".repeat(500_000)});
        client.post("/signup/email-password", body).await.status == StatusCode::BAD_REQUEST
    })
    .await;
}
