//! A way to Postgres on which statements about refresh tokens wait until somebody decides.
//!
//! With one gate a node, the order of the statements of all nodes is a choice of the test, and so are
//! the points at which connections and nodes fail. Statements about anything else pass.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use super::link::{connect, url_through};

/// What the housekeeping asks for whenever it likes.
const HOUSEKEEPING: [&str; 3] =
    ["select ctid::text", "pg_stat_get_dead_tuples", "pg_relation_size"];

/// What becomes of a statement that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// Postgres never gets it, and its connection ends.
    CutBefore,
    /// Postgres carries it out, nobody hears of it, and its connection ends.
    CutAfter,
}

/// A proxy; ends with its connections when dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    upstream: PgConnectOptions,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    /// What a statement must contain to wait here.
    word: &'static str,
    is_open: AtomicBool,
    /// Everything is cut, now and later.
    is_dead: AtomicBool,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Statements that passed and are without a result yet.
    running: AtomicUsize,
    changed: Arc<Notify>,
}

struct Waiting {
    statement: String,
    decide: oneshot::Sender<(Verdict, Running)>,
}

impl Gate {
    /// An open gate. `changed` is told whenever a statement has come to wait, or has its result.
    pub(crate) async fn to(upstream: &str, word: &'static str, changed: Arc<Notify>) -> Self {
        let upstream: PgConnectOptions = upstream.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            word,
            is_open: AtomicBool::new(true),
            is_dead: AtomicBool::new(false),
            waiting: Mutex::default(),
            running: AtomicUsize::new(0),
            changed,
        });
        let mut tasks = JoinSet::new();
        let (to, accepting) = (upstream.clone(), Arc::clone(&shared));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // Messages are written one by one.
                client.set_nodelay(true).unwrap();
                connections.spawn(serve(client, to.clone(), Arc::clone(&accepting)));
            }
        });
        Self { address, upstream, shared, _tasks: tasks }
    }

    /// The URL of a database behind the gate.
    pub(crate) fn url(&self, database: &str) -> String {
        url_through(self.address, &self.upstream, database)
    }

    /// From now on statements wait.
    pub(crate) fn close(&self) {
        self.shared.is_open.store(false, Ordering::SeqCst);
    }

    /// From now on nothing waits; nothing may be waiting.
    pub(crate) fn open(&self) {
        self.shared.is_open.store(true, Ordering::SeqCst);
        assert!(self.waiting().is_none(), "a statement still waits");
    }

    /// The first words of the statement that has waited longest.
    pub(crate) fn waiting(&self) -> Option<String> {
        let waiting = self.shared.waiting.lock().unwrap();
        waiting.front().map(|first| first.statement.clone())
    }

    /// Whether Postgres works on a statement that passed.
    pub(crate) fn is_running(&self) -> bool {
        self.shared.running.load(Ordering::SeqCst) > 0
    }

    /// Decides about the statement that has waited longest.
    pub(crate) fn decide(&self, verdict: Verdict) {
        let first = self.shared.waiting.lock().unwrap().pop_front().expect("a statement waits");
        // A connection that ended meanwhile is no concern of anybody's.
        let _ = first.decide.send((verdict, Running::new(&self.shared)));
    }

    /// Cuts everything for good, as if the node behind it had lost its power.
    pub(crate) fn die(&self) {
        self.shared.is_dead.store(true, Ordering::SeqCst);
        // Their connections end, for nobody will decide any more.
        self.shared.waiting.lock().unwrap().clear();
    }
}

/// A statement between its verdict and its result.
struct Running(Arc<Shared>);

impl Running {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.running.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(shared))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

async fn serve(client: TcpStream, upstream: PgConnectOptions, shared: Arc<Shared>) {
    if shared.is_dead.load(Ordering::SeqCst) {
        return;
    }
    let Ok(server) = connect(&upstream).await else { return };
    let (from_client, mut to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    // Replies that somebody waits for, in order: whether each is withheld.
    let (expect, mut expected) = tokio::sync::mpsc::unbounded_channel::<(Running, bool)>();
    let up = requests(from_client, to_server, &shared, &expect);
    let down = async {
        let mut replies = Frames::new(from_server, false);
        let mut current: Option<(Running, bool)> = None;
        while let Ok(frame) = replies.next().await {
            if current.is_none() {
                current = expected.try_recv().ok();
            }
            let is_ready = frame[0] == b'Z';
            if current.as_ref().is_some_and(|(_, withheld)| *withheld) {
                if is_ready {
                    return;
                }
                continue;
            }
            if shared.is_dead.load(Ordering::SeqCst) {
                return;
            }
            if to_client.write_all(&frame).await.is_err() {
                return;
            }
            if is_ready {
                current = None;
            }
        }
    };
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}

/// Forwards what the client says; statements that are meant wait before their parameters are sent.
async fn requests(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    shared: &Arc<Shared>,
    expect: &tokio::sync::mpsc::UnboundedSender<(Running, bool)>,
) -> io::Result<()> {
    let mut requests = Frames::new(from, true);
    let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
    let mut meant = None;
    loop {
        let frame = requests.next().await?;
        if shared.is_dead.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        match frame[0] {
            b'P' => {
                let (name, rest) = text(&frame[5..]);
                let statement = String::from_utf8_lossy(text(rest).0).into_owned();
                prepared.insert(name.to_vec(), statement);
            }
            b'B' => {
                let (_portal, rest) = text(&frame[5..]);
                let statement = prepared.get(text(rest).0).cloned().unwrap_or_default();
                let is_meant = statement.contains(shared.word)
                    && !HOUSEKEEPING.iter().any(|own| statement.contains(own));
                let waits = is_meant && !shared.is_open.load(Ordering::SeqCst);
                if waits {
                    meant = Some(wait(shared, statement).await?);
                }
            }
            _ => {}
        }
        let is_sync = frame[0] == b'S';
        if is_sync && let Some(reply) = meant.take() {
            let _ = expect.send(reply);
        }
        to.write_all(&frame).await?;
    }
}

/// Waits for a verdict: whether the response is withheld, or an error if the connection is to end
/// now.
async fn wait(shared: &Shared, statement: String) -> io::Result<(Running, bool)> {
    let (decide, decided) = oneshot::channel();
    let statement = statement.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    shared.waiting.lock().unwrap().push_back(Waiting { statement, decide });
    shared.changed.notify_waiters();
    match decided.await {
        Ok((Verdict::CutBefore, _)) | Err(_) => Err(io::ErrorKind::ConnectionReset.into()),
        Ok((verdict, running)) => Ok((running, verdict == Verdict::CutAfter)),
    }
}

/// The text before the next zero, and what follows it.
pub(super) fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// Messages of Postgres' protocol: a letter, four bytes of length, content.
pub(super) struct Frames<R> {
    from: R,
    buffer: Vec<u8>,
    /// The first message of a client has no letter.
    is_start: bool,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(super) fn new(from: R, is_start: bool) -> Self {
        Self { from, buffer: Vec::new(), is_start }
    }

    pub(super) async fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let letter = usize::from(!self.is_start);
            if let Some(length) = self.buffer.get(letter..letter + 4) {
                let length = u32::from_be_bytes(length.try_into().unwrap()) as usize + letter;
                if self.buffer.len() >= length {
                    self.is_start = false;
                    let rest = self.buffer.split_off(length);
                    return Ok(std::mem::replace(&mut self.buffer, rest));
                }
            }
            if self.from.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
