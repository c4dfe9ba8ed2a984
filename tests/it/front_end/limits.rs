//! Slow, large and many: over real sockets.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::harness::{MAX_BODY, Options, RawResponse, Server, Site, get, post};

const SHORT: Duration = Duration::from_millis(100);

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

fn is_error(response: &str, status: u16, code: &str) -> bool {
    response.starts_with(&format!("HTTP/1.1 {status} "))
        && response.contains(&format!("{{\"error\":\"{code}\",\"message\":"))
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_announced_or_its_real_length() {
    let site = Site::new(&Options::default());
    let exact = site.send(post("/about"), &"x".repeat(MAX_BODY)).await;
    assert_eq!(exact.status, 200);
    let over = site.send(post("/about"), &"x".repeat(MAX_BODY + 1)).await;
    assert_eq!((over.status, over.error_code().as_str()), (413, "payload-too-large"));

    let server = Server::start(Options::default()).await;
    let mut announced = server.connect().await;
    announced.send("POST /about HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n").await;
    let response = announced.response().await;
    assert!(is_error(&response, 413, "payload-too-large"), "{response}");
    assert!(response.contains("connection: close"), "{response}");

    let mut chunked = server.connect().await;
    chunked.send("POST /about HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    chunked.send(&format!("7d0\r\n{}\r\n", "x".repeat(2_000))).await;
    let response = chunked.response().await;
    assert!(is_error(&response, 413, "payload-too-large"), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(Options::default()).await;
    let mut client = server.connect().await;
    client.send(&format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000))).await;
    let response = client.response().await;
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_closed() {
    let server = Server::start(Options { header_timeout: SHORT, ..Options::default() }).await;
    for start in ["", "P", "GET /healthz HTTP/1.1\r\nhost:"] {
        let mut client = server.connect().await;
        client.send(start).await;
        assert_eq!(client.rest().await, "", "after {start:?}");
    }
    // The second request's head has the same limit as the first one's.
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    client.response().await;
    client.send("GET /he").await;
    assert_eq!(client.rest().await, "");
    server.stop().await;
}

#[tokio::test]
async fn waiting_for_the_next_request_has_a_longer_limit_than_a_head() {
    let server = Server::start(Options { header_timeout: SHORT, ..Options::default() }).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(HEALTH).await;
        assert!(client.response().await.starts_with("HTTP/1.1 200 "));
        wait(3 * SHORT).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let server = Server::start(Options { idle_timeout: SHORT, ..Options::default() }).await;
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    client.response().await;
    assert_eq!(client.rest().await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_a_408() {
    let server = Server::start(Options { request_timeout: SHORT, ..Options::default() }).await;
    let mut client = server.connect().await;
    client.send("POST /about HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc").await;
    let response = client.response().await;
    assert!(is_error(&response, 408, "request-timeout"), "{response}");
    assert_eq!(client.rest().await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_a_503_and_is_dropped() {
    let site = Site::new(&Options { request_timeout: SHORT, ..Options::default() });
    let response = site.send(get("/wait"), "").await;
    assert_eq!((response.status, response.error_code().as_str()), (503, "service-unavailable"));
    assert_eq!(response.header("retry-after"), Some("1"));
    assert_eq!(site.probe.abandoned.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_beyond_the_concurrency_limit_are_refused_at_once() {
    let server = Server::start(Options { max_concurrency: 2, ..Options::default() }).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.send(WAIT).await;
    second.send(WAIT).await;
    server.site.probe.entered(2).await;
    let mut third = server.connect().await;
    third.send(HEALTH).await;
    let response = third.response().await;
    assert!(is_error(&response, 503, "service-unavailable"), "{response}");
    assert!(response.contains("retry-after: 1"), "{response}");
    server.site.probe.release.add_permits(2);
    for client in [&mut first, &mut second] {
        assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    }
    third.send(HEALTH).await;
    assert!(third.response().await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_place_back() {
    let server = Server::start(Options { max_concurrency: 1, ..Options::default() }).await;
    let mut client = server.connect().await;
    client.send(WAIT).await;
    server.site.probe.entered(1).await;
    drop(client);
    let mut next = server.connect().await;
    let is_free = async {
        loop {
            next.send(HEALTH).await;
            if next.response().await.starts_with("HTTP/1.1 200 ") {
                return;
            }
        }
    };
    tokio::time::timeout(super::harness::DEADLINE, is_free).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_before_the_last_response_is_served_next() {
    let server = Server::start(Options::default()).await;
    let mut client = server.connect().await;
    client.send(WAIT).await;
    server.site.probe.entered(1).await;
    client.send(HEALTH).await;
    server.site.probe.release.add_permits(1);
    for _ in 0..2 {
        assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(server.site.probe.abandoned.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let server = Server::start(Options { max_connections: 1, ..Options::default() }).await;
    let mut first = server.connect().await;
    first.send(WAIT).await;
    server.site.probe.entered(1).await;
    let mut second = server.connect().await;
    second.send(HEALTH).await;
    assert!(tokio::time::timeout(SHORT, second.0.readable()).await.is_err());
    drop(first);
    assert!(second.response().await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

#[tokio::test]
async fn http_2_without_tls_is_spoken_with_prior_knowledge() {
    let server = Server::start(Options { header_timeout: SHORT, ..Options::default() }).await;
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    for body in ["", "{}"] {
        let uri = format!("http://{}/about?x=y", server.address);
        let request = Request::post(uri)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = RawResponse::read(client.send_request(request).await.unwrap()).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.json()["bodyBytes"], body.len());
        // Longer than a head may take: frames that are not requests do not start that clock.
        wait(2 * SHORT).await;
    }
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_bodyless_response_to_head_keeps_the_connection() {
    let server = Server::start(Options::default()).await;
    let mut client = server.connect().await;
    client.send("HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut head = [0; 1_024];
    client.0.readable().await.unwrap();
    let read = client.0.try_read(&mut head).unwrap();
    assert!(head[..read].starts_with(b"HTTP/1.1 200 ") && head[..read].ends_with(b"\r\n\r\n"));
    client.send(HEALTH).await;
    assert!(client.response().await.ends_with("\"OK\"\n"));
    server.stop().await;
}

/// Time itself is what these tests are about.
#[expect(clippy::disallowed_methods, reason = "the absence of an event has no condition")]
async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}
