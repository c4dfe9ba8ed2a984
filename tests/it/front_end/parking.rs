//! Connections that wait for their next request: whatever they do next, nobody can tell that they
//! were parked.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::harness::{Options, Server, Wire};
use crate::support::smtp::eventually;

const SHORT: Duration = Duration::from_millis(20);

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server that parks soon.
async fn start(options: Options) -> Server {
    Server::start(Options { ready_time: SHORT, ..options }).await
}

/// A connection that has had a response and was parked after it.
async fn parked(server: &Server) -> Wire {
    let before = server.connections.parked.get();
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    is_parked(server, before).await;
    client
}

async fn is_parked(server: &Server, before: u64) {
    eventually("a parked connection", async || server.connections.parked.get() > before).await;
}

#[tokio::test]
async fn a_parked_connection_serves_the_next_request_and_is_parked_again() {
    let server = start(Options::default()).await;
    let mut client = parked(&server).await;
    for _ in 0..3 {
        let before = server.connections.parked.get();
        client.send(HEALTH).await;
        let response = client.response().await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(!response.contains("connection: close"), "{response}");
        is_parked(&server, before).await;
    }
    // A head in pieces, and two requests at once.
    client.send("GET /hea").await;
    client.send("lthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.response().await;
    client.send(&HEALTH.repeat(2)).await;
    let mut both = client.response().await;
    if both.matches("HTTP/1.1 200 ").count() < 2 {
        both += &client.response().await;
    }
    assert_eq!(both.matches("HTTP/1.1 200 ").count(), 2, "{both}");
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_takes_longer_than_a_connection_stays_ready_is_served() {
    let server = start(Options::default()).await;
    let mut client = parked(&server).await;
    client.send(WAIT).await;
    server.site.probe.entered(1).await;
    // Longer than `SHORT`, and nobody is parked meanwhile.
    let (before, mut other) = (server.connections.parked.get(), parked(&server).await);
    assert!(server.connections.parked.get() - before < 2, "the waiting one was parked");
    server.site.probe.release.add_permits(1);
    assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    other.send(HEALTH).await;
    other.response().await;
    server.stop().await;
}

#[tokio::test]
async fn a_parked_connection_ends_with_its_idle_time_with_its_client_and_with_the_server() {
    let idle_timeout = 5 * SHORT;
    let server = start(Options { idle_timeout, ..Options::default() }).await;
    let mut client = parked(&server).await;
    assert_eq!(client.rest().await, "");
    server.stop().await;

    let server = start(Options::default()).await;
    drop(parked(&server).await);
    let (mut idle, mut asking) = (parked(&server).await, parked(&server).await);
    asking.send(HEALTH).await;
    let stopping = server.stop();
    let (response, stats) = tokio::join!(asking.response(), stopping);
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert_eq!((stats.accepted, stats.cut), (3, 0));
    assert_eq!(idle.rest().await, "");
    assert_eq!(asking.rest().await, "");
}

#[tokio::test]
async fn half_a_head_after_parking_has_the_time_of_a_head() {
    let server = start(Options { header_timeout: 5 * SHORT, ..Options::default() }).await;
    let mut client = parked(&server).await;
    client.send("GET /healthz HTTP/1.1\r\nhost:").await;
    assert_eq!(client.rest().await, "");
    server.stop().await;
}

#[tokio::test]
async fn a_parked_connection_goes_for_a_new_one_when_there_are_too_many() {
    let server = start(Options { max_connections: 2, ..Options::default() }).await;
    let mut first = parked(&server).await;
    let mut second = parked(&server).await;
    let mut third = server.connect().await;
    third.send(HEALTH).await;
    assert!(third.response().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(first.rest().await, "");
    second.send(HEALTH).await;
    assert!(second.response().await.starts_with("HTTP/1.1 200 "));
    server.stop().await;
}

/// The head's second half must not be read as the head of another request.
#[tokio::test]
async fn half_a_head_that_came_with_the_request_before_is_not_forgotten() {
    let server = start(Options::default()).await;
    let mut client = server.connect().await;
    client.send(&format!("{HEALTH}GET /about?hid")).await;
    assert!(client.response().await.starts_with("HTTP/1.1 200 "));
    // Others are parked meanwhile, so this one has had the time.
    drop(parked(&server).await);
    drop(parked(&server).await);
    // It may be closed already, which is no more than a client has to expect.
    let rest = b"den HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let _ = client.0.write_all(rest).await;
    let response = client.rest().await;
    assert!(response.is_empty() || response.contains("?hidden"), "{response}");
    server.stop().await;
}
