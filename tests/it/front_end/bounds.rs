//! Bounds on all clients together and on each client network, over real sockets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::harness::{DEADLINE, LARGE, Options, Server, Site, Wire, get};

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const GET_LARGE: &str = "GET /large HTTP/1.1\r\nhost: x\r\n\r\n";

const OTHER: [u8; 4] = [127, 0, 0, 2];

/// One byte of a body of a thousand is missing.
fn unfinished() -> String {
    let body = "x".repeat(999);
    format!("POST /about HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{body}")
}

/// The place of the first client to whom something is said, and what.
async fn first_response(clients: &mut [Wire]) -> (usize, String) {
    let responses = clients.iter_mut().map(|client| client.response().boxed());
    let (response, place, _) = select_all(responses).await;
    (place, response)
}

/// Sends it again and again until the response is a good one.
async fn until_good(client: &mut Wire, request: &str) {
    let is_good = async {
        loop {
            client.send(request).await;
            if client.response().await.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, is_good).await.expect("there is room in the end");
}

#[tokio::test]
async fn bodies_past_the_budget_are_refused_and_those_within_it_are_read() {
    let server = Server::start(Options { body_budget: 2_000, ..Options::default() }).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect().await);
        clients.last_mut().unwrap().send(&unfinished()).await;
    }
    let (place, response) = first_response(&mut clients).await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains("{\"error\":\"service-unavailable\","), "{response}");
    assert!(response.contains("retry-after: 1"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    clients.remove(place);
    for client in &mut clients {
        client.send("x").await;
        assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    }
    let mut next = server.connect().await;
    next.send(&format!("{}x", unfinished())).await;
    assert!(next.response().await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn a_client_network_has_no_more_than_its_share_of_the_budget() {
    let options = Options { body_budget: 2_000, has_shares: true, ..Options::default() };
    let server = Server::start(options).await;
    let mut greedy = [server.connect().await, server.connect().await];
    for client in &mut greedy {
        client.send(&unfinished()).await;
    }
    let (_, response) = first_response(&mut greedy).await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    let mut other = server.connect_from(OTHER).await;
    other.send(&unfinished()).await;
    other.send("x").await;
    assert!(other.response().await.starts_with("HTTP/1.1 200 "));
    // One of them is in flight for as long as its body may take.
    drop(greedy);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection_and_its_part_of_the_budget() {
    let server = Server::start(Options {
        write_timeout: Duration::from_secs(1),
        body_budget: LARGE,
        ..Options::default()
    })
    .await;
    let mut idler = server.connect_narrowly().await;
    idler.send(GET_LARGE).await;
    idler.0.readable().await.unwrap();
    let mut other = server.connect().await;
    other.send(GET_LARGE).await;
    let response = other.response().await;
    assert!(response.starts_with("HTTP/1.1 503 "), "a response past the budget");
    until_good(&mut other, GET_LARGE).await;
    assert!(idler.rest().await.len() < LARGE);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_ends_its_connection_over_http_2() {
    let server = Server::start(Options {
        write_timeout: Duration::from_secs(1),
        // With room for what is small.
        body_budget: LARGE + 10_000,
        ..Options::default()
    })
    .await;
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_000)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let ask = |path: &str| {
        let uri = format!("http://{}{path}", server.address);
        Request::get(uri).body(Empty::<Bytes>::new()).unwrap()
    };
    let unread = client.send_request(ask("/large")).await.unwrap();
    let mut other = server.connect().await;
    // The connection is in use all the time, and not a moment longer than it may be.
    while let Ok(response) = client.send_request(ask("/healthz")).await {
        assert_eq!(response.status(), 200);
    }
    until_good(&mut other, GET_LARGE).await;
    drop(unread);
    server.stop().await;
}

#[tokio::test]
async fn the_connection_that_is_idle_for_the_longest_time_is_closed_for_a_new_one() {
    let server = Server::start(Options { max_connections: 3, ..Options::default() }).await;
    let mut busy = server.connect().await;
    busy.send(WAIT).await;
    server.site.probe.entered(1).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.send(HEALTH).await;
    assert!(first.response().await.starts_with("HTTP/1.1 200 "));
    second.send(HEALTH).await;
    assert!(second.response().await.starts_with("HTTP/1.1 200 "));
    let mut third = server.connect().await;
    third.send(HEALTH).await;
    assert!(third.response().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(first.rest().await, "");
    second.send(HEALTH).await;
    assert!(second.response().await.starts_with("HTTP/1.1 200 "));
    server.site.probe.release.add_permits(1);
    assert!(busy.response().await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn connections_that_have_said_nothing_or_read_nothing_are_idle_too() {
    for start in ["", "GET /healthz HTTP/1.1\r\nhost:", GET_LARGE] {
        let options = Options { max_connections: 1, body_budget: 4 * LARGE, ..Options::default() };
        let server = Server::start(options).await;
        let mut silent = server.connect_narrowly().await;
        silent.send(start).await;
        let mut next = server.connect().await;
        next.send(HEALTH).await;
        assert!(next.response().await.starts_with("HTTP/1.1 200 "), "after {start:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_network_has_no_more_than_its_share_of_the_connections() {
    let options = Options { max_connections: 4, has_shares: true, ..Options::default() };
    let server = Server::start(options).await;
    let mut greedy = [server.connect().await, server.connect().await];
    for client in &mut greedy {
        client.send(WAIT).await;
    }
    server.site.probe.entered(2).await;
    // None of its own is idle, so that nothing is closed for it.
    assert_eq!(server.connect().await.rest().await, "");
    let mut others = [server.connect_from(OTHER).await, server.connect_from(OTHER).await];
    for other in &mut others {
        other.send(HEALTH).await;
        assert!(other.response().await.starts_with("HTTP/1.1 200 "));
    }
    // Its own goes, not one of somebody else.
    server.site.probe.release.add_permits(1);
    let (place, response) = first_response(&mut greedy).await;
    assert!(response.starts_with("HTTP/1.1 200 "));
    let mut next = server.connect().await;
    next.send(HEALTH).await;
    assert!(next.response().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(greedy[place].rest().await, "");
    for other in &mut others {
        other.send(HEALTH).await;
        assert!(other.response().await.starts_with("HTTP/1.1 200 "));
    }
    server.site.probe.release.add_permits(1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_network_has_no_more_than_its_share_of_the_requests_in_flight() {
    let options = Options { max_concurrency: 4, has_shares: true, ..Options::default() };
    let site = Site::new(&options);
    let (one, two, other) = ("192.0.2.1", "192.0.2.1", "192.0.2.2");
    let held = async {
        tokio::join!(site.send_from(one, get("/wait"), ""), site.send_from(two, get("/wait"), ""))
    };
    let meanwhile = async {
        site.probe.entered(2).await;
        let refused = site.send_from(one, get("/healthz"), "").await;
        assert_eq!((refused.status, refused.error_code().as_str()), (503, "service-unavailable"));
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(site.send_from(other, get("/healthz"), "").await.status, 200);
        site.probe.release.add_permits(2);
    };
    let ((first, second), ()) = tokio::join!(held, meanwhile);
    assert_eq!((first.status, second.status), (200, 200));
    assert_eq!(site.send_from(one, get("/healthz"), "").await.status, 200);
}
