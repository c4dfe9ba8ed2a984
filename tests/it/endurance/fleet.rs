//! Three nodes on one Postgres, and clients that find whoever is there.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};

use super::puppet;
use crate::support::app::Client;
use crate::support::cluster::Cluster;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;

/// Nodes in a fleet.
pub(super) const NODES: usize = 3;

/// The time in which each request is served or refused.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

const SETTINGS: &[(&str, &str)] = &[
    ("AUTH_HTTP_REQUEST_TIMEOUT", "2s"),
    ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "1s"),
    ("AUTH_ACTOR_CALL_TIMEOUT", "1s"),
    ("AUTH_LAST_SEEN_INTERVAL", "200ms"),
    // Clocks jump further than an access token usually lives.
    ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "1000000"),
];

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `keywright serve`.
    Served,
    /// The same in a test's process, whose actors and clock do as they are told.
    Puppet,
}

/// Nodes, and what they share.
pub(super) struct Fleet {
    pub(super) cluster: Cluster,
    pub(super) nodes: Vec<ServerProcess>,
    directory: Directory,
    kind: Kind,
    /// Neighbours that are there and say nothing.
    silent: Vec<TcpListener>,
}

/// Where the nodes are now; a new process has a new port.
#[derive(Clone)]
pub(super) struct Directory(Arc<Mutex<Vec<Client>>>);

impl Directory {
    pub(super) fn client(&self, node: usize) -> Client {
        self.0.lock().unwrap()[node].clone()
    }

    /// Whether every node says that it is ready.
    pub(super) async fn is_ready(&self) -> bool {
        let nodes = (0..NODES).map(|node| self.client(node));
        let ready = join_all(nodes.map(|client| async move {
            let request = client.request(Method::GET, "/healthz");
            Client::try_send(request).await.is_ok_and(|response| response.status == StatusCode::OK)
        }));
        ready.await.into_iter().all(|is_ready| is_ready)
    }
}

impl Fleet {
    pub(super) async fn start(kind: Kind) -> Self {
        let cluster = Cluster::start().await;
        let database = cluster.behind_link();
        let nodes = join_all((0..NODES).map(|_| start_node(&database, kind, &[]))).await;
        let clients = nodes.iter().map(|node| node.client().clone()).collect();
        Self {
            cluster,
            nodes,
            directory: Directory(Arc::new(Mutex::new(clients))),
            kind,
            silent: Vec::new(),
        }
    }

    pub(super) fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// A process in the place of one that has ended.
    pub(super) async fn replace(&mut self, node: usize) {
        let process = start_node(&self.cluster.behind_link(), self.kind, &[]).await;
        self.put(node, process);
    }

    /// The same, begun before Postgres is there, which comes half a second later.
    pub(super) async fn replace_before_postgres(&mut self, node: usize) {
        let database = self.cluster.behind_link();
        let patient = [("AUTH_POSTGRES_START_TIMEOUT", "60s")];
        let starting = start_node(&database, self.kind, &patient);
        let cluster = &mut self.cluster;
        let restarting = async {
            time_until(Duration::from_millis(500), async || false).await;
            cluster.restart().await;
        };
        let (process, ()) = tokio::join!(starting, restarting);
        self.put(node, process);
    }

    /// The same, beside a Hasura that takes connections and never says a word.
    pub(super) async fn replace_without_hasura(&mut self, node: usize) {
        let hasura = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/graphql", hasura.local_addr().unwrap());
        let settings =
            [("HASURA_GRAPHQL_GRAPHQL_URL", url.as_str()), ("HASURA_GRAPHQL_ADMIN_SECRET", "s")];
        let process = start_node(&self.cluster.behind_link(), self.kind, &settings).await;
        self.put(node, process);
        self.silent.push(hasura);
    }

    fn put(&mut self, node: usize, process: ServerProcess) {
        self.directory.0.lock().unwrap()[node] = process.client().clone();
        self.nodes[node] = process;
    }

    /// The largest node in memory, in bytes; 0 where the system does not say.
    pub(super) fn memory(&self) -> u64 {
        self.nodes.iter().filter_map(ServerProcess::running).map(memory).max().unwrap_or_default()
    }

    /// Every node ends as a signal asks it to.
    pub(super) async fn stop(mut self) {
        for node in &mut self.nodes {
            node.signal(rustix::process::Signal::INT);
            assert_eq!(node.wait().await, Some(0));
        }
    }
}

async fn start_node(database: &TestDatabase, kind: Kind, more: &[(&str, &str)]) -> ServerProcess {
    let settings = [SETTINGS, more].concat();
    match kind {
        Kind::Served => ServerProcess::start_quietly(database, &settings).await,
        Kind::Puppet => puppet::start(database, &settings).await,
    }
}

/// Resident memory of a process in bytes.
fn memory(id: u32) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default()
        * 1024
}

/// Waits for a condition as often as there is time; how long it took.
pub(super) async fn time_until<F: AsyncFnMut() -> bool>(
    longest: Duration,
    mut condition: F,
) -> Option<Duration> {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while began.elapsed() < longest {
        ticks.tick().await;
        if condition().await {
            return Some(began.elapsed());
        }
    }
    None
}
