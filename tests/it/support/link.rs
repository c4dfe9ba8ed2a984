//! The network between a server and Postgres, which fails as told.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

/// What happens to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Ended, and new ones too.
    Cut(On),
    /// Open, but nothing gets through.
    Freeze(On),
    /// Everything takes so much longer, in either direction.
    Delay(Duration),
}

/// Which connections a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    All,
    /// Those that have said LISTEN.
    Listeners,
    /// Those that were open when the fault began.
    Present,
}

#[derive(Clone, Debug)]
struct State {
    fault: Fault,
    /// Connections with a lower number were open when the fault began.
    present: u64,
    next: u64,
    upstream: PgConnectOptions,
}

/// A proxy; ends with its connections when dropped.
pub(crate) struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// To the server of this URL.
    pub(crate) async fn to(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = upstream.parse().unwrap();
        let state = watch::Sender::new(State { fault: Fault::None, present: 0, next: 0, upstream });
        let mut tasks = JoinSet::new();
        let accepting = state.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let number = accepting.borrow().next;
                accepting.send_modify(|state| state.next += 1);
                let connection = Connection {
                    number,
                    listens: Arc::new(AtomicBool::new(false)),
                    state: accepting.subscribe(),
                };
                connections.spawn(connection.run(client));
            }
        });
        Self { address, state, _tasks: tasks }
    }

    /// The URL of a database at the other end.
    pub(crate) fn url(&self, database: &str) -> String {
        url_through(self.address, &self.state.borrow().upstream, database)
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.present = state.next;
        });
    }

    /// Leads new connections to another server.
    pub(crate) fn lead_to(&self, upstream: &str) {
        let upstream = upstream.parse().unwrap();
        self.state.send_modify(|state| state.upstream = upstream);
    }
}

/// The URL of a database behind a proxy at this address.
pub(crate) fn url_through(
    address: SocketAddr,
    upstream: &PgConnectOptions,
    database: &str,
) -> String {
    let mut url: Url = format!("postgres://{address}/{database}").parse().unwrap();
    url.set_username(upstream.get_username()).unwrap();
    url.set_query(Some("sslmode=disable"));
    url.into()
}

/// Both directions of a connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection to a server, by its socket or by TCP.
pub(crate) async fn connect(to: &PgConnectOptions) -> io::Result<Box<dyn Stream>> {
    let socket = to
        .get_socket()
        .cloned()
        .or_else(|| to.get_host().starts_with('/').then(|| to.get_host().into()));
    if let Some(directory) = socket {
        let path = directory.join(format!(".s.PGSQL.{}", to.get_port()));
        return Ok(Box::new(UnixStream::connect(path).await?));
    }
    let stream = TcpStream::connect((to.get_host(), to.get_port())).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

#[derive(Clone)]
struct Connection {
    number: u64,
    listens: Arc<AtomicBool>,
    state: watch::Receiver<State>,
}

impl Connection {
    async fn run(mut self, client: TcpStream) {
        if self.pass().await.is_err() {
            return;
        }
        let upstream = self.state.borrow().upstream.clone();
        let Ok(server) = connect(&upstream).await else { return };
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let (up, down) = (self.clone(), self);
        // Either end ends both.
        tokio::select! {
            _ = up.pump(&mut from_client, &mut to_server, true) => {}
            _ = down.pump(&mut from_server, &mut to_client, false) => {}
        }
    }

    async fn pump(
        mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        is_request: bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read?,
                _ = self.state.changed() => {
                    self.pass().await?;
                    continue;
                }
            };
            if read == 0 {
                return Ok(());
            }
            if is_request && buffer[..read].windows(6).any(|word| word == b"LISTEN") {
                self.listens.store(true, Ordering::SeqCst);
            }
            self.pass().await?;
            self.dawdle().await?;
            to.write_all(&buffer[..read]).await?;
        }
    }

    /// Waits as long as the network takes.
    async fn dawdle(&mut self) -> io::Result<()> {
        let fault = self.state.borrow_and_update().fault;
        let Fault::Delay(delay) = fault else { return Ok(()) };
        match tokio::time::timeout(delay, self.state.changed()).await {
            Ok(changed) => changed.map_err(io::Error::other),
            Err(_elapsed) => Ok(()),
        }
    }

    /// Waits while this connection is frozen; an error if it is cut.
    async fn pass(&mut self) -> io::Result<()> {
        loop {
            let state = self.state.borrow_and_update().clone();
            let is_meant = |on| match on {
                On::All => true,
                On::Listeners => self.listens.load(Ordering::SeqCst),
                On::Present => self.number < state.present,
            };
            match state.fault {
                Fault::Cut(on) if is_meant(on) => {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Fault::Freeze(on) if is_meant(on) => {
                    self.state.changed().await.map_err(io::Error::other)?;
                }
                _ => return Ok(()),
            }
        }
    }
}
