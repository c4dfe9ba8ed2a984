//! Accepts connections and serves them until signalled to stop, then lets them finish.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use pin_project_lite::pin_project;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tower::Service;

use super::connection::{Activity, InFlight, Patience, TimedStream};
use super::connections::{Connections, Member};
use super::file_limit;
pub use super::listener::{BindError, bind};
use super::outgoing::Outgoing;
use super::parking::{Lent, Place};
use crate::config::{LiveConfig, ServerConfig};
use crate::domain::client_network::ClientNetwork;
use crate::domain::schema_origin::Origin;
use crate::drain::Drain;
use crate::http::bounds::shares::share_of;
use crate::http::layers::client_address::TrustedProxies;
use crate::http::message::call::{Inbound, Reply};
use crate::http::pipeline::front_end::Guards;
use crate::http::{FrontEnd, FrontEndSettings, Router};
use crate::metrics::http::ConnectionStats;
use crate::telemetry;

/// Most bytes of a request's head.
const MAX_HEAD_BYTES: usize = 64 * 1_024;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;

/// Longer than the 60 s for which common proxies keep a connection to reuse it, so that it is
/// always the proxy that closes.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// How long a connection that waits for its next request keeps its buffers.
const READY_TIME: Duration = Duration::from_secs(2);

/// Bytes of bodies that a client may send before they are read, on one request and on one connection
/// over HTTP/2.
const MAX_UNREAD: u32 = 64 * 1_024;

/// Pause after the process ran out of file descriptors: accepting fails at once until one is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    pub patience: Patience,
    /// Connections at once; for a further one the one goes that has been idle for the longest time.
    pub max_connections: usize,
    /// Connections of one client network.
    pub max_of_network: usize,
    /// Peers to whom that does not apply, since many clients are behind them.
    pub proxies: TrustedProxies,
    pub stats: Arc<ConnectionStats>,
    /// Longest drain.
    pub shutdown_timeout: Duration,
}

impl ServeSettings {
    /// What a server with this configuration needs on a database of this origin.
    fn new(config: &ServerConfig, origin: Origin) -> Self {
        // Over HTTP/1 each request has a connection; as many again may be idle.
        let max_connections = file_limit::fit(config.max_concurrency.saturating_mul(2));
        Self {
            patience: Patience {
                header: config.header_timeout,
                idle: IDLE_TIMEOUT,
                ready: READY_TIME,
                write: config.write_timeout,
            },
            max_connections,
            max_of_network: share_of(max_connections, config.client_share),
            proxies: TrustedProxies::new(config.trusted_proxies(origin)),
            stats: Arc::default(),
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

/// Serves in a task of its own, with the limits of the configuration at this time and the log
/// of the process. Who made the database decides which proxies are believed, where the settings do
/// not.
#[expect(clippy::disallowed_methods, reason = "the caller holds the task and waits for it")]
pub fn start<S: Send + Sync + 'static>(
    listener: TcpListener,
    router: Arc<Router<S>>,
    state: Arc<S>,
    config: LiveConfig,
    origin: Origin,
    guards: Guards,
    drain: Drain,
) -> JoinHandle<()> {
    let loaded = config.load();
    let settings = ServeSettings {
        stats: Arc::clone(&router.stats().connections),
        ..ServeSettings::new(&loaded.server, origin)
    };
    let front_end_settings = FrontEndSettings::new(&loaded.server, origin);
    drop(loaded);
    let conceal_errors = move || config.load().server.conceal_errors;
    let log = telemetry::access_log();
    let front_end = FrontEnd::new(router, state, &front_end_settings, guards, conceal_errors, log);
    tokio::spawn(async move {
        let served = serve(listener, front_end, settings, drain).await;
        tracing::info!(accepted = served.accepted, cut = served.cut, "front end stopped");
    })
}

/// Serves until it is signalled to stop; then stops accepting, closes idle connections, finishes
/// requests in flight, and cuts what is left after `shutdown_timeout`.
pub async fn serve<T>(
    listener: TcpListener,
    service: T,
    settings: ServeSettings,
    drain: Drain,
) -> ServerStats
where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
{
    let protocol = protocol();
    let ServeSettings { max_connections, max_of_network, .. } = settings;
    let among = Connections::new(max_connections, max_of_network, Arc::clone(&settings.stats));
    let (told, all) = (drain.clone(), Arc::clone(&among));
    let connection = move |Accepted { stream, peer, network }, place| {
        let activity = Arc::new(Activity::new(told.phase().clone()));
        let member = all.enter(network, place, &activity);
        let socket = TimedStream::new(stream, Arc::clone(&activity), settings.patience);
        let service = ConnectionService { service: service.clone(), peer: peer.ip(), activity };
        let stats = Arc::clone(&settings.stats);
        run(protocol.clone(), socket, service, told.child(), stats, member)
    };
    let mut connections = JoinSet::new();
    let mut stats = ServerStats::default();
    let mut waiting: Option<Accepted> = None;
    loop {
        // Both may be given up and begun again, so that ended connections are always let go.
        let next = async {
            match &waiting {
                None => Next::Accepted(accept(&listener, &settings.proxies, &among).await),
                Some(_) => Next::Place(among.place().await),
            }
        };
        let next = tokio::select! {
            () = drain.stopping() => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match next {
            Next::Accepted(accepted) => {
                waiting = accepted.is_within_its_share(&among).then_some(accepted);
            }
            Next::Place(place) => {
                if let Some(accepted) = waiting.take() {
                    stats.accepted += 1;
                    connections.spawn(connection(accepted, place));
                }
            }
        }
    }
    for (accepted, place) in last_ones(waiting, listener, &settings.proxies, &among) {
        stats.accepted += 1;
        connections.spawn(connection(accepted, place));
    }
    let ending = async { while connections.join_next().await.is_some() {} };
    if timeout(settings.shutdown_timeout, ending).await.is_err() {
        stats.cut = connections.len();
        tracing::warn!(connections = stats.cut, "connections cut after the shutdown timeout");
        connections.shutdown().await;
    }
    stats
}

/// HTTP/1.1 and HTTP/2 without TLS, told apart by the first bytes.
fn protocol() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `TimedStream` limits waiting, and notices those who hang up: hyper would read for that, with a new
    // buffer in each request.
    builder
        .http1()
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(MAX_HEAD_BYTES)
        .writev(false);
    let max_list = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(max_list)
        .initial_stream_window_size(MAX_UNREAD)
        .initial_connection_window_size(MAX_UNREAD);
    builder
}

/// What the listener waits for.
enum Next {
    Accepted(Accepted),
    /// For the connection that has been accepted.
    Place(OwnedSemaphorePermit),
}

/// A connection that has no place yet.
struct Accepted {
    stream: TcpStream,
    peer: SocketAddr,
    /// Whose share it counts for.
    network: Option<ClientNetwork>,
}

impl Accepted {
    fn new(stream: TcpStream, peer: SocketAddr, proxies: &TrustedProxies) -> Self {
        Self { stream, peer, network: proxies.client_network(peer.ip()) }
    }

    fn is_within_its_share(&self, among: &Connections) -> bool {
        self.network.is_none_or(|network| among.has_room_for(network))
    }
}

/// The next connection; failures are survived.
#[expect(clippy::disallowed_methods, reason = "nothing tells when a file descriptor is free")]
async fn accept(listener: &TcpListener, proxies: &TrustedProxies, among: &Connections) -> Accepted {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return Accepted::new(stream, peer, proxies),
            Err(error) if is_of_connection(&error) => {}
            Err(error) => {
                among.failed(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Closes the listener; those whom the kernel had accepted already are not turned away.
fn last_ones(
    mut waiting: Option<Accepted>,
    listener: TcpListener,
    proxies: &TrustedProxies,
    among: &Connections,
) -> Vec<(Accepted, OwnedSemaphorePermit)> {
    let mut accepted = Vec::new();
    // Asked directly: the runtime may not have heard of them yet.
    let Ok(listener) = listener.into_std() else { return accepted };
    while let Some(place) = among.free_place() {
        let next = waiting.take().map_or_else(
            || {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::new(TcpStream::from_std(stream)?, peer, proxies))
            },
            io::Result::Ok,
        );
        let Ok(next) = next else { break };
        accepted.push((next, place));
    }
    accepted
}

/// The client gave up before it was accepted; the next one may be fine.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves a connection until it ends.
async fn run<T>(
    protocol: auto::Builder<TokioExecutor>,
    socket: TimedStream,
    service: ConnectionService<T>,
    drain: Drain,
    stats: Arc<ConnectionStats>,
    _member: Member,
) where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
{
    let (mut socket, place) = (Box::new(socket), Place::default());
    loop {
        // In a box, which is gone while the connection is parked.
        let serving = serve_until_idle(&protocol, place.lend(socket), service.clone(), &drain);
        let is_whole = Box::pin(serving).await;
        // Not with half a head that hyper had read and has lost.
        let Some(parked) = place.take_parked().filter(|_| is_whole) else { return };
        socket = parked;
        stats.parked.increment();
        if !socket.resumes(&drain).await {
            return;
        }
    }
}

/// Serves a connection until it ends or is parked; whether nothing was left half done.
async fn serve_until_idle<T>(
    protocol: &auto::Builder<TokioExecutor>,
    socket: Lent,
    service: ConnectionService<T>,
    drain: &Drain,
) -> bool
where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
{
    let activity = Arc::clone(&service.activity);
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(socket), service));
    let mut must_end = pin!(must_end(drain, &activity));
    let mut is_registered = false;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(ended));
        }
        // It knows whom to wake and has nothing to say before draining begins; asking would take two locks
        // for each request.
        if is_registered && !drain.phase().is_draining() && !activity.must_close() {
            return Poll::Pending;
        }
        is_registered = true;
        must_end.as_mut().poll(cx).map(Err)
    });
    let ended = match ended.await {
        Ok(ended) => ended,
        Err(end) => {
            if end == End::Http2 {
                connection.as_mut().graceful_shutdown();
            }
            // Otherwise `TimedStream` and the responses see to it. hyper would drop a request
            // that has arrived and is not read yet.
            connection.await
        }
    };
    if let Err(error) = &ended {
        // Clients that vanish or talk nonsense are not events for an operator.
        tracing::debug!(error = %error, "a connection ended early");
    }
    ended.is_ok()
}

/// How a connection is made to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its client is asked to.
    Http2,
    /// Its socket ends it.
    Socket,
}

/// Returns when something must be done to end this connection.
///
/// The client of an HTTP/2 connection is asked to end it as soon as draining begins: a frame says so
/// without hitting a request. A connection that has said nothing yet is waited for.
async fn must_end(drain: &Drain, activity: &Activity) -> End {
    tokio::select! {
        () = drain.draining() => {}
        () = activity.closing() => return End::Socket,
    }
    tokio::select! {
        biased;
        () = activity.speaks_http2() => End::Http2,
        // Being polled is all that an HTTP/1 connection needs now.
        () = drain.stopping() => End::Socket,
        () = activity.closing() => End::Socket,
    }
}

/// Hands the requests of one connection to a clone of the service each.
#[derive(Clone)]
struct ConnectionService<T> {
    service: T,
    peer: IpAddr,
    activity: Arc<Activity>,
}

impl<T> hyper::service::Service<Request<Incoming>> for ConnectionService<T>
where
    T: Service<Inbound<Incoming>, Response = Reply, Error = Infallible> + Clone,
{
    type Response = Response<Outgoing>;
    type Error = Infallible;
    type Future = Counted<T::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.activity.begin();
        let version = request.version();
        // The front end is always ready, so there is no `poll_ready` to wait for.
        let inner = self.service.clone().call(Inbound { request, peer: self.peer });
        let activity = Arc::clone(&self.activity);
        Counted { inner, in_flight: Some(in_flight), activity, version }
    }
}

pin_project! {
    /// A request's future that counts as activity of its connection.
    struct Counted<F> {
        #[pin]
        inner: F,
        in_flight: Option<InFlight>,
        activity: Arc<Activity>,
        version: Version,
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for Counted<F> {
    type Output = Result<Response<Outgoing>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(reply) = std::task::ready!(this.inner.poll(cx));
        // Before hyper has the reply, so that the socket knows when it is flushed.
        let in_flight = this.in_flight.take();
        let is_http1 = *this.version < Version::HTTP_2;
        let mut reply = Outgoing::of(reply, *this.version, this.activity);
        if is_http1 && in_flight.is_some_and(|request| request.is_last()) {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(reply))
    }
}
