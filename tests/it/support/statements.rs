//! A way to Postgres on which statements are noted: each is a round trip.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::gate::{Frames, text};
use super::link::{connect, url_through};
use super::postgres::TestDatabase;

/// What a server does by itself, whether or not somebody asks for something.
const BACKGROUND: [&str; 14] = [
    // Beats of the change feed, and the heartbeat of the node.
    "pg_notify('keywright_changes', $1)",
    "auth.keywright_nodes",
    // New connections.
    "set_config(setting.name",
    "as search_path",
    // The courier and housekeeping.
    "for update skip locked",
    "update auth.keywright_outbox set next_attempt_at",
    "delete from auth.keywright_outbox where id = $1",
    "min(next_attempt_at)",
    "values ('housekeeper'",
    "ctid::text as",
    "pg_relation_size",
    "pg_stat_get_dead_tuples",
    // Outcomes of attempts, which are told after the response.
    "update auth.keywright_counters",
    // `last_seen` of refreshes.
    "update auth.users u set last_seen = f.at",
];

/// A proxy; ends with its connections when dropped.
pub(crate) struct Statements {
    address: SocketAddr,
    upstream: PgConnectOptions,
    noted: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Statements {
    /// To the server of this URL.
    pub(crate) async fn to(upstream: &str) -> Self {
        let upstream: PgConnectOptions = upstream.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let noted = Arc::default();
        let mut tasks = JoinSet::new();
        let (to, noting) = (upstream.clone(), Arc::clone(&noted));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                connections.spawn(serve(client, to.clone(), Arc::clone(&noting)));
            }
        });
        Self { address, upstream, noted, _tasks: tasks }
    }

    /// The same database by this way.
    pub(crate) fn way_to(&self, database: &TestDatabase) -> TestDatabase {
        let url = url_through(self.address, &self.upstream, database.name());
        TestDatabase::at(url, database.name())
    }

    /// Statements from now on.
    pub(crate) fn begin(&self) {
        self.noted.lock().unwrap().clear();
    }

    /// Those that somebody asked for since then, in order.
    pub(crate) fn noted(&self) -> Vec<String> {
        let mut noted = self.noted.lock().unwrap().clone();
        noted.retain(|statement| !BACKGROUND.iter().any(|own| statement.contains(own)));
        noted
    }
}

async fn serve(client: TcpStream, upstream: PgConnectOptions, noted: Arc<Mutex<Vec<String>>>) {
    let Ok(server) = connect(&upstream).await else { return };
    let (from_client, mut to_client) = tokio::io::split(client);
    let (mut from_server, to_server) = tokio::io::split(server);
    tokio::select! {
        _ = requests(from_client, to_server, &noted) => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

async fn requests(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    noted: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut requests = Frames::new(from, true);
    let mut prepared: HashMap<Vec<u8>, String> = HashMap::new();
    loop {
        let frame = requests.next().await?;
        let note = |statement: &str| {
            let words: Vec<&str> = statement.split_whitespace().collect();
            noted.lock().unwrap().push(words.join(" "));
        };
        match frame[0] {
            b'P' => {
                let (name, rest) = text(&frame[5..]);
                let statement = String::from_utf8_lossy(text(rest).0).into_owned();
                prepared.insert(name.to_vec(), statement);
            }
            b'B' => {
                let (_portal, rest) = text(&frame[5..]);
                note(prepared.get(text(rest).0).map_or("", String::as_str));
            }
            b'Q' => note(&String::from_utf8_lossy(text(&frame[5..]).0)),
            _ => {}
        }
        to.write_all(&frame).await?;
    }
}
