//! Accepts connections and serves them until told to stop, then lets them finish.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::call::{Inbound, Reply};
use super::connection::{Activity, InFlight, Patience, TimedStream};
use super::front_end::Guards;
pub use super::listener::{BindError, bind};
use super::{FrontEnd, FrontEndSettings, Router};
use crate::config::{LiveConfig, ServerConfig};
use crate::telemetry;

/// Most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1_024;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// Longer than the 60 s for which common proxies keep a connection to reuse it, so that it is
/// always the proxy that closes.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// Pause after the process ran out of file descriptors: accepting fails at once until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct ServeSettings {
    pub patience: Patience,
    /// Connections at once; further ones wait in the kernel's backlog.
    pub max_connections: usize,
    /// Longest drain.
    pub shutdown_timeout: Duration,
}

impl From<&ServerConfig> for ServeSettings {
    fn from(config: &ServerConfig) -> Self {
        Self {
            patience: Patience { header: config.header_timeout, idle: IDLE_TIMEOUT },
            // Over HTTP/1 each request has a connection; as many again may be idle.
            max_connections: config.max_concurrency.saturating_mul(2),
            shutdown_timeout: config.shutdown_timeout,
        }
    }
}

/// What a server did until it stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that were cut because they outlasted the drain.
    pub cut: usize,
}

/// Serves in a task of its own, with the limits of the configuration at this moment and the log
/// of the process.
#[expect(clippy::disallowed_methods, reason = "the caller holds the task and waits for it")]
pub fn start<S: Send + Sync + 'static>(
    listener: TcpListener,
    router: Arc<Router<S>>,
    state: Arc<S>,
    config: LiveConfig,
    guards: Guards,
    shutdown: CancellationToken,
) -> JoinHandle<()> {
    let loaded = config.load();
    let settings = ServeSettings::from(&loaded.server);
    let front_end_settings = FrontEndSettings::from(&loaded.server);
    drop(loaded);
    let conceal_errors = move || config.load().server.conceal_errors;
    let log = telemetry::access_log();
    let front_end = FrontEnd::new(router, state, &front_end_settings, guards, conceal_errors, log);
    tokio::spawn(async move {
        let served = serve(listener, front_end, settings, shutdown).await;
        tracing::info!(accepted = served.accepted, cut = served.cut, "front end stopped");
    })
}

/// Serves until `shutdown` is cancelled; then stops accepting, closes idle connections, finishes
/// requests in flight, and cuts what is left after `shutdown_timeout`.
pub async fn serve<T>(
    listener: TcpListener,
    service: T,
    settings: ServeSettings,
    shutdown: CancellationToken,
) -> ServerStats
where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
{
    let protocol = protocol();
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    let mut stats = ServerStats::default();
    loop {
        let (stream, peer, place) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        stats.accepted += 1;
        let activity = Arc::default();
        let socket = TimedStream::new(stream, Arc::clone(&activity), settings.patience);
        let service = ConnectionService { service: service.clone(), peer: peer.ip(), activity };
        let connection = run(protocol.clone(), socket, service, graceful.watcher(), place);
        connections.spawn(connection);
    }
    drop(listener);
    let drain = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    if timeout(settings.shutdown_timeout, drain).await.is_err() {
        stats.cut = connections.len();
        tracing::warn!(connections = stats.cut, "connections cut after the shutdown timeout");
        connections.shutdown().await;
    }
    stats
}

/// HTTP/1.1 and HTTP/2 without TLS, told apart by the first bytes.
fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Waiting is limited by `TimedStream`.
    builder.http1().header_read_timeout(None).max_buf_size(MAX_HEAD_BYTES);
    let max_list = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
    builder.http2().max_concurrent_streams(MAX_STREAMS).max_header_list_size(max_list);
    builder
}

/// The next connection; failures are survived.
#[expect(clippy::disallowed_methods, reason = "nothing tells when a file descriptor is free")]
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client gave up before it was accepted; the next one may be fine.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn run<T>(
    protocol: auto::Builder<TokioExecutor>,
    socket: TimedStream,
    service: ConnectionService<T>,
    watcher: Watcher,
    _place: OwnedSemaphorePermit,
) where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
{
    let connection = protocol.serve_connection(TokioIo::new(socket), service);
    if let Err(error) = watcher.watch(connection).await {
        // Clients that vanish or talk nonsense are not events for an operator.
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// Hands the requests of one connection to a clone of the service each.
struct ConnectionService<T> {
    service: T,
    peer: IpAddr,
    activity: Arc<Activity>,
}

impl<T> hyper::service::Service<Request<Incoming>> for ConnectionService<T>
where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = Counted<T::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.begin();
        // The front end is always ready, so there is no `poll_ready` to wait for.
        let inner = self.service.clone().call(Inbound { request, peer: self.peer });
        Counted { inner, in_flight: Some(in_flight) }
    }
}

pin_project! {
    /// A request's future that counts as activity of its connection.
    struct Counted<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = std::task::ready!(this.inner.poll(cx));
        // Before hyper has the reply, so that the socket knows when it is flushed.
        drop(this.in_flight.take());
        Poll::Ready(output)
    }
}
