//! The end of a server as its clients see it.

use std::time::Duration;

use keywright::http::ServerStats;
use tokio::net::TcpStream;

use super::harness::{DEADLINE, Options, Server};

const WAIT: &str = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n";
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_request_in_flight_is_finished_and_new_connections_are_refused() {
    let server = Server::start(Options::default()).await;
    let mut busy = server.connect().await;
    busy.send(WAIT).await;
    server.site.probe.entered(1).await;
    server.shutdown.cancel();
    let is_refused = async { while TcpStream::connect(server.address).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, is_refused).await.expect("the listener is closed");
    assert!(!server.task.is_finished());
    server.site.probe.release.add_permits(1);
    let response = busy.response().await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    assert_eq!(busy.rest().await, "");
    assert_eq!(server.stop().await.cut, 0);
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let server = Server::start(Options::default()).await;
    let mut idle = server.connect().await;
    idle.send(HEALTH).await;
    idle.response().await;
    let mut silent = server.connect().await;
    // Served in order of arrival, so the silent one has been accepted, too.
    let mut third = server.connect().await;
    third.send(HEALTH).await;
    third.response().await;
    let started = std::time::Instant::now();
    assert_eq!(server.stop().await, ServerStats { accepted: 3, cut: 0 });
    assert!(started.elapsed() < DEADLINE / 4, "{:?}", started.elapsed());
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut() {
    let shutdown_timeout = Duration::from_millis(100);
    let server = Server::start(Options { shutdown_timeout, ..Options::default() }).await;
    let mut busy = server.connect().await;
    busy.send(WAIT).await;
    server.site.probe.entered(1).await;
    assert_eq!(server.stop().await, ServerStats { accepted: 1, cut: 1 });
    assert_eq!(busy.rest().await, "");
}
