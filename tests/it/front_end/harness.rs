//! A tiny application, with or without a socket around it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use keywright::domain::clock::Clock;
use keywright::domain::error::{AuthError, ErrorCode};
use keywright::drain::Drain;
use keywright::http::layers::client_address::TrustedProxies;
use keywright::http::layers::local::LocalHosts;
use keywright::http::message::call::Inbound;
use keywright::http::message::route::{Limits, Turnstile};
use keywright::http::pipeline::dispatch::RequestBounds;
use keywright::http::pipeline::front_end::Guards;
use keywright::http::pipeline::router::HandlerResult;
use keywright::http::serve::connection::Patience;
use keywright::http::{
    ApiRequest, ApiResponse, FrontEnd, FrontEndSettings, Router, ServeSettings, ServerStats, serve,
};
use keywright::metrics::http::ConnectionStats;
use keywright::telemetry::access_log::AccessLog;
use keywright::telemetry::writer::{WriterGuard, batched};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// Long enough for anything that should happen, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Lets tests hold requests inside a handler.
pub(crate) struct Probe {
    pub(crate) entered: Semaphore,
    pub(crate) release: Semaphore,
    pub(crate) abandoned: AtomicUsize,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            entered: Semaphore::new(0),
            release: Semaphore::new(0),
            abandoned: AtomicUsize::new(0),
        }
    }
}

impl Probe {
    /// Returns when `n` more requests are inside `/wait`.
    pub(crate) async fn entered(&self, n: u32) {
        tokio::time::timeout(DEADLINE, self.entered.acquire_many(n))
            .await
            .expect("requests reach the handler")
            .unwrap()
            .forget();
    }
}

struct CountDrop<'a>(&'a AtomicUsize);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn health(_: Arc<Probe>, _: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::ok_text())
}

async fn about(_: Arc<Probe>, request: ApiRequest) -> HandlerResult {
    ApiResponse::json(&serde_json::json!({
        "path": request.path(),
        "query": request.query(),
        "clientIp": request.client_ip,
        "requestId": request.request_id.as_str(),
        "bodyBytes": request.body.len(),
    }))
}

async fn wait(probe: Arc<Probe>, _: ApiRequest) -> HandlerResult {
    let abandoned = CountDrop(&probe.abandoned);
    probe.entered.add_permits(1);
    probe.release.acquire().await.expect("never closed").forget();
    std::mem::forget(abandoned);
    Ok(ApiResponse::ok_text())
}

/// What `/large` responds with.
pub(crate) const LARGE: usize = 8 << 20;

async fn large(_: Arc<Probe>, _: ApiRequest) -> HandlerResult {
    Ok(ApiResponse::raw_json(vec![b'x'; LARGE]))
}

async fn broken(_: Arc<Probe>, request: ApiRequest) -> HandlerResult {
    match request.query() {
        Some("panic") => panic!("this handler is broken"),
        Some("sensitive") => Err(ErrorCode::DisabledUser.into()),
        Some("busy") => Err(AuthError::unavailable("a part")),
        _ => Err(AuthError::internal("secret detail", io::Error::other("secret cause"))),
    }
}

fn panics_at_once(_: Arc<Probe>, _: ApiRequest) -> std::future::Ready<HandlerResult> {
    panic!("before the first await")
}

/// What a test may change about the server.
pub(crate) struct Options {
    pub(crate) prefix: &'static str,
    pub(crate) conceal: bool,
    pub(crate) max_concurrency: usize,
    pub(crate) max_connections: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) ready_time: Duration,
    pub(crate) write_timeout: Duration,
    /// Otherwise every peer is a proxy, and has no share of its own.
    pub(crate) has_shares: bool,
    pub(crate) body_budget: usize,
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "",
            conceal: false,
            max_concurrency: 100,
            max_connections: 100,
            request_timeout: DEADLINE,
            header_timeout: DEADLINE,
            idle_timeout: DEADLINE,
            ready_time: DEADLINE,
            write_timeout: DEADLINE,
            has_shares: false,
            body_budget: 1 << 20,
            shutdown_timeout: DEADLINE,
        }
    }
}

fn trusted_proxies(options: &Options) -> TrustedProxies {
    let networks =
        if options.has_shares { [].into() } else { ["127.0.0.0/8".parse().unwrap()].into() };
    TrustedProxies::new(networks)
}

/// The most that a body may have here.
pub(crate) const MAX_BODY: usize = 1_000;

/// The application without a socket.
pub(crate) struct Site {
    pub(crate) probe: Arc<Probe>,
    pub(crate) front_end: FrontEnd<Probe>,
    log: Sink,
    log_worker: WriterGuard,
}

impl Site {
    pub(crate) fn new(options: &Options) -> Self {
        let router = Router::builder(options.prefix)
            .route(Method::GET, "/healthz", Limits::NONE, Turnstile::NotAsked, health)
            .route(Method::HEAD, "/healthz", Limits::NONE, Turnstile::NotAsked, health)
            .route(Method::GET, "/about", Limits::NONE, Turnstile::NotAsked, about)
            .route(Method::POST, "/about", Limits::NONE, Turnstile::NotAsked, about)
            .route(Method::GET, "/wait", Limits::NONE, Turnstile::NotAsked, wait)
            .route(Method::GET, "/large", Limits::NONE, Turnstile::NotAsked, large)
            .route(Method::GET, "/broken", Limits::NONE, Turnstile::NotAsked, broken)
            .route(
                Method::GET,
                "/panics-at-once",
                Limits::NONE,
                Turnstile::NotAsked,
                panics_at_once,
            )
            .route_outside_prefix(Method::GET, "/livez", health)
            .build()
            .unwrap();
        let settings = FrontEndSettings {
            bounds: RequestBounds {
                max_body_bytes: MAX_BODY,
                request_timeout: options.request_timeout,
            },
            max_concurrency: options.max_concurrency,
            trusted_proxies: trusted_proxies(options),
            local_hosts: LocalHosts::new(IpAddr::from([127, 0, 0, 1])),
            client_share: 50,
            body_budget: options.body_budget,
        };
        let probe = Arc::new(Probe::default());
        let log = Sink::default();
        let (writer, log_worker) = batched(log.clone());
        let access_log = AccessLog::new(writer, false, Clock::system());
        let conceal = options.conceal;
        let front_end = FrontEnd::new(
            Arc::new(router),
            Arc::clone(&probe),
            &settings,
            Guards::default(),
            move || conceal,
            access_log,
        );
        Self { probe, front_end, log, log_worker }
    }

    /// Sends one request from 127.0.0.1.
    pub(crate) async fn send(&self, request: http::request::Builder, body: &str) -> RawResponse {
        self.send_from("127.0.0.1", request, body).await
    }

    pub(crate) async fn send_from(
        &self,
        peer: &str,
        request: http::request::Builder,
        body: &str,
    ) -> RawResponse {
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        let peer: IpAddr = peer.parse().unwrap();
        let reply = self.front_end.clone().oneshot(Inbound { request, peer }).await;
        RawResponse::read(reply.unwrap()).await
    }

    /// Ends logging and gives every line.
    pub(crate) fn log_lines(self) -> Vec<serde_json::Value> {
        drop(self.log_worker);
        let bytes = self.log.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A reply that has been read.
#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl RawResponse {
    pub(crate) async fn read<B>(reply: Response<B>) -> Self
    where
        B: hyper::body::Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (head, body) = reply.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The error code, after checking that the body is the contract's.
    pub(crate) fn error_code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert!(self.body.ends_with("}\n"), "{:?}", self.body);
        let json = self.json();
        let members: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["error", "message", "status"]);
        assert_eq!(json["status"], self.status);
        json["error"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(path)
}

pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(path).header("content-type", "application/json")
}

/// The application behind a real socket.
pub(crate) struct Server {
    pub(crate) site: Site,
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    pub(crate) task: JoinHandle<ServerStats>,
    pub(crate) connections: Arc<ConnectionStats>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "the test waits for the task")]
    pub(crate) async fn start(options: Options) -> Self {
        let site = Site::new(&options);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (drain, connections) = (Drain::default(), Arc::<ConnectionStats>::default());
        let settings = ServeSettings {
            patience: Patience {
                header: options.header_timeout,
                idle: options.idle_timeout,
                ready: options.ready_time,
                write: options.write_timeout,
            },
            max_connections: options.max_connections,
            max_of_network: options.max_connections.div_ceil(2),
            proxies: trusted_proxies(&options),
            stats: Arc::clone(&connections),
            shutdown_timeout: options.shutdown_timeout,
        };
        let task = tokio::spawn(serve(listener, site.front_end.clone(), settings, drain.clone()));
        Self { site, address, drain, task, connections }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// From another address of this machine: another client network.
    pub(crate) async fn connect_from(&self, address: [u8; 4]) -> Wire {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(address), 0).into()).unwrap();
        Wire(socket.connect(self.address).await.unwrap())
    }

    /// With as little room as there can be for what is not read.
    pub(crate) async fn connect_narrowly(&self) -> Wire {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        Wire(socket.connect(self.address).await.unwrap())
    }

    /// Drains and gives the counts.
    pub(crate) async fn stop(self) -> ServerStats {
        self.drain.stop();
        tokio::time::timeout(DEADLINE, self.task).await.expect("the server stops").unwrap()
    }
}

/// A client that decides about every byte.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// One response with its body, by `Content-Length`.
    pub(crate) async fn response(&mut self) -> String {
        tokio::time::timeout(DEADLINE, self.read_response()).await.expect("a response arrives")
    }

    async fn read_response(&mut self) -> String {
        let mut text = String::new();
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "))
                    .map_or(0, |length| length.parse::<usize>().unwrap());
                if body.len() >= length {
                    return text;
                }
            }
            let mut buffer = [0; 4_096];
            let read = self.0.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }

    /// Whatever comes until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        // A reset is a way of closing, too.
        let _ = tokio::time::timeout(DEADLINE, read).await.expect("the server closes");
        String::from_utf8(bytes).unwrap()
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
