//! The end of a server as its clients see it.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
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
    server.drain.stop();
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

#[tokio::test]
async fn while_draining_everything_is_served_and_each_response_ends_its_connection() {
    let server = Server::start(Options::default()).await;
    let mut old = server.connect().await;
    old.send(HEALTH).await;
    assert!(!old.response().await.contains("connection: close"));
    let mut busy = server.connect().await;
    busy.send(WAIT).await;
    server.site.probe.entered(1).await;

    server.drain.begin();
    let mut new = server.connect().await;
    server.site.probe.release.add_permits(1);
    for (connection, request) in [(&mut old, HEALTH), (&mut new, HEALTH), (&mut busy, "")] {
        connection.send(request).await;
        let response = connection.response().await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(response.contains("connection: close"), "{response}");
        assert_eq!(connection.rest().await, "");
    }
    assert_eq!(server.stop().await, ServerStats { accepted: 3, cut: 0 });
}

#[tokio::test]
async fn a_connection_that_waits_is_not_ended_before_the_server_stops() {
    let server = Server::start(Options::default()).await;
    let mut idle = server.connect().await;
    idle.send(HEALTH).await;
    idle.response().await;
    server.drain.begin();
    let mut other = server.connect().await;
    other.send(HEALTH).await;
    other.response().await;
    // The server has had time to end the first one, too.
    assert_eq!(other.rest().await, "");
    let ended = idle.0.try_read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(ended, Err(std::io::ErrorKind::WouldBlock));
    assert_eq!(server.stop().await.cut, 0);
    assert_eq!(idle.rest().await, "");
}

#[tokio::test]
async fn a_request_that_has_arrived_when_the_server_stops_is_served() {
    let server = Server::start(Options::default()).await;
    let mut idle = server.connect().await;
    idle.send(HEALTH).await;
    idle.response().await;
    // This thread does not let the server run, so it sees both at the same time.
    idle.0.try_write(HEALTH.as_bytes()).unwrap();
    server.drain.stop();
    let response = idle.response().await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains("connection: close"), "{response}");
    assert_eq!(idle.rest().await, "");
    assert_eq!(server.stop().await.cut, 0);
}

#[tokio::test]
async fn a_connection_that_the_kernel_has_let_in_is_served() {
    let server = Server::start(Options::default()).await;
    // The server cannot have accepted it, since this thread does not let it run.
    let mut new = std::net::TcpStream::connect(server.address).unwrap();
    new.write_all(HEALTH.as_bytes()).unwrap();
    server.drain.stop();
    assert_eq!(server.stop().await, ServerStats { accepted: 1, cut: 0 });
    let mut response = String::new();
    new.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[tokio::test]
async fn http2_connections_end_when_draining_begins_and_finish_their_requests() {
    let server = Server::start(Options::default()).await;
    let socket = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    let request = |path| {
        let url = format!("http://{}{path}", server.address);
        Request::get(url).body(Empty::<Bytes>::new()).unwrap()
    };
    let requests = async {
        assert_eq!(sender.send_request(request("/healthz")).await.unwrap().status(), 200);
        let waiting = sender.send_request(request("/wait"));
        let draining = async {
            server.site.probe.entered(1).await;
            server.drain.begin();
            server.site.probe.release.add_permits(1);
        };
        let (response, ()) = tokio::join!(waiting, draining);
        assert_eq!(response.unwrap().status(), 200);
        // It does not end by itself because nobody sends any more.
        sender
    };
    let both = async { tokio::join!(requests, connection) };
    let (sender, ended) = tokio::time::timeout(DEADLINE, both).await.expect("GOAWAY");
    ended.unwrap();
    assert!(sender.is_closed());
    assert_eq!(server.stop().await, ServerStats { accepted: 1, cut: 0 });
}
