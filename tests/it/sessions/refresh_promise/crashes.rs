//! Real processes race on real time, while nodes are killed, Postgres crashes and connections end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use keywright::persistence::settings::{StoredKey, find_key};
use keywright::tokens::chain::RotationKey;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgPool};
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

use super::interleavings::ask;
use super::model::{Chain, Event, Op, Outcome, Rotated};
use super::reference;
use super::tracked::{At, Reports, Round, Row, Tracked};
use crate::support::app::Client;
use crate::support::cluster::{Cluster, End};
use crate::support::link::{Fault, On};
use crate::support::process::ServerProcess;
use crate::support::random::Random;
use crate::support::smtp::eventually;
use crate::support::soak::Soak;

const NODES: usize = 3;
const SESSIONS: usize = 8;
/// Clients that share a session, such as tabs of a browser.
const TABS: usize = 3;
/// An hour, so that only the test decides when the window is over.
const SETTINGS: &[(&str, &str)] = &[
    ("AUTH_REFRESH_TOKEN_GRACE", "3600"),
    ("AUTH_ACTOR_CALL_TIMEOUT", "1s"),
    ("AUTH_POSTGRES_ACQUIRE_TIMEOUT", "1s"),
    ("AUTH_HTTP_REQUEST_TIMEOUT", "2s"),
];

/// What goes wrong in the middle of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    /// SIGKILL, and a new process in its place.
    Node(usize),
    Postgres(End),
    Connections,
}

/// Where a node is, and others were before they were killed.
struct Place {
    node: ServerProcess,
    /// What nodes before it reported.
    earlier: Vec<Value>,
}

struct World {
    cluster: Cluster,
    places: Vec<Place>,
    chain: Chain,
    ticks: AtomicU64,
}

impl World {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let database = cluster.behind_link();
        let starts = (0..NODES).map(|_| ServerProcess::start(&database, SETTINGS));
        let places = join_all(starts)
            .await
            .into_iter()
            .map(|node| Place { node, earlier: Vec::new() })
            .collect();
        let pool = pool(&cluster).await;
        let key = find_key(&pool, StoredKey::Rotation).await.unwrap().expect("a node made it");
        let chain = Chain::new(RotationKey::from_bytes(key.expose_secret()));
        Self { cluster, places, chain, ticks: AtomicU64::new(0) }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn client(&self, place: usize) -> Client {
        self.places[place].node.client().clone()
    }

    /// All sessions at the same time, and trouble in the middle; what happened to each session.
    async fn phase(
        &mut self,
        random: &mut Random,
        sessions: &mut [Tracked],
        trouble: Trouble,
    ) -> Vec<Vec<Event>> {
        let may_end = random.chance(30);
        let clients: Vec<Client> = (0..NODES).map(|place| self.client(place)).collect();
        let pool = pool(&self.cluster).await;
        let (progress, over) = (watch::Sender::new(0_usize), watch::Sender::new(false));
        let goal = SESSIONS + random.below(SESSIONS * TABS);
        let tabs = sessions.iter_mut().map(|session| {
            let session = Mutex::new(session);
            let events = Mutex::new(Vec::new());
            let tabs: Vec<Random> = (0..TABS).map(|_| random.fork()).collect();
            let (clients, pool, progress) = (&clients, &pool, &progress);
            let (over, ticks) = (over.subscribe(), &self.ticks);
            async move {
                let tabs = tabs.into_iter().map(|random| Tab {
                    random,
                    session: &session,
                    events: &events,
                    clients,
                    pool,
                    progress,
                    over: over.clone(),
                    ticks,
                    may_end,
                });
                join_all(tabs.map(Tab::run)).await;
                events.into_inner().unwrap()
            }
        });
        let mut reached = progress.subscribe();
        let (cluster, places) = (&mut self.cluster, &mut self.places);
        let troubling = async {
            // Some operations are not begun at all if their session ends early.
            let _ = tokio::time::timeout(
                Duration::from_secs(2),
                reached.wait_for(|progress| *progress >= goal),
            )
            .await;
            make_trouble(cluster, places, trouble).await;
            over.send_replace(true);
        };
        let (events, ()) = tokio::join!(join_all(tabs), troubling);
        events
    }

    /// Waits until nothing of what was begun can happen any more.
    async fn rest(&self) {
        for Place { node, .. } in &self.places {
            eventually("a node that is ready", async || {
                let request = node.client().request(Method::GET, "/healthz");
                Client::try_send(request)
                    .await
                    .is_ok_and(|response| response.status == StatusCode::OK)
            })
            .await;
            // Whoever hung up has been noticed long before these have come and gone.
            for _ in 0..20 {
                node.client().get("/version").await;
            }
        }
        let mut direct = self.cluster.connect().await;
        eventually("Postgres to have nothing to do", async || {
            let active: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                  where datname = current_database() and state <> 'idle'
                    and pid <> pg_backend_pid() and query like '%refresh_tokens%'",
            )
            .fetch_one(&mut direct)
            .await
            .unwrap();
            active == 0
        })
        .await;
        direct.close().await.unwrap();
        for Place { node, .. } in &self.places {
            // A log is in order.
            let id = Uuid::new_v4().to_string();
            let request =
                node.client().request(Method::GET, "/version").header("x-request-id", &id);
            Client::send(request).await;
            eventually("its log", async || {
                node.log().iter().rev().any(|line| line.to_string().contains(&id))
            })
            .await;
        }
    }

    /// What was reported about late tokens of this session.
    fn reports(&self, id: &str) -> Reports {
        let mut reports = Reports::default();
        for place in &self.places {
            let lines = place.earlier.iter().cloned().chain(security_events(&place.node));
            for line in lines.filter(|line| line["session.id"] == id) {
                reports.count(line["session.ended"].as_str());
            }
        }
        reports
    }

    async fn conclude(&mut self, session: &mut Tracked, events: &[Event], trouble: Trouble) {
        let pool = pool(&self.cluster).await;
        let row = Row::find(&pool, session.id).await;
        let reports = self.reports(&session.id.to_string());
        let lost_reports = matches!(trouble, Trouble::Node(_));
        let must_live = session.must_live(events);
        session.conclude(&self.chain, &Round { events, row, reports, lost_reports }, rotated);
        if session.is_live() && must_live {
            self.goes_on(session, &pool).await;
        } else if !session.is_live() {
            for place in 0..NODES {
                let response = self.client(place).refresh(session.held()).await;
                response.assert_refused(401, "invalid-refresh-token");
            }
        }
    }

    /// Parallel uses of what the owner holds, on every node, get one next token.
    async fn goes_on(&self, session: &mut Tracked, pool: &PgPool) {
        let held = session.held().to_owned();
        let begun = self.tick();
        let clients: Vec<Client> = (0..2 * NODES).map(|at| self.client(at % NODES)).collect();
        let responses = join_all(clients.iter().map(|client| client.refresh(&held))).await;
        let next = self.chain.next(&held);
        let mut events = Vec::new();
        for response in responses {
            assert_eq!(response.status, StatusCode::OK, "{response:?}");
            assert_eq!(response.session().refresh_token(), next);
            let (op, ended) = (Op::Refresh(held.clone()), self.tick());
            let outcome = Outcome::Token(next.clone());
            events.push(Event { op, outcome, begun, ended, is_heard: true });
        }
        session.receive(&held, &next);
        let row = Row::find(pool, session.id).await;
        let round =
            Round { events: &events, row, reports: Reports::default(), lost_reports: false };
        session.conclude(&self.chain, &round, rotated);
    }

    /// The grace window of a session passes.
    async fn age(&self, session: &mut Tracked) {
        let mut direct = self.cluster.connect().await;
        sqlx::query(
            "update auth.refresh_tokens set keywright_rotated_at = keywright_rotated_at - interval '1 day'
              where id = $1",
        )
        .bind(session.id)
        .execute(&mut direct)
        .await
        .unwrap();
        direct.close().await.unwrap();
        session.age();
    }
}

/// Connections that end with the pool, for what the reference does.
async fn pool(cluster: &Cluster) -> PgPool {
    let url = cluster.direct().borrow().clone().expect("it runs");
    PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "real processes have real time")]
fn rotated(at: OffsetDateTime) -> Rotated {
    let is_in_window = OffsetDateTime::now_utc() - at < time::Duration::hours(1);
    if is_in_window { Rotated::InWindow } else { Rotated::LongAgo }
}

/// What a node reported about late tokens.
fn security_events(node: &ServerProcess) -> Vec<Value> {
    let is_report = |line: &Value| line["security_event"] == "refresh-token-reuse";
    node.log().into_iter().filter(is_report).collect()
}

async fn make_trouble(cluster: &mut Cluster, places: &mut [Place], trouble: Trouble) {
    match trouble {
        Trouble::None => {}
        Trouble::Node(at) => {
            let database = cluster.behind_link();
            let place = &mut places[at];
            place.earlier.extend(security_events(&place.node));
            place.node.kill().await;
            place.node = ServerProcess::start(&database, SETTINGS).await;
        }
        Trouble::Postgres(end) => {
            cluster.stop(end).await;
            cluster.restart().await;
        }
        Trouble::Connections => {
            cluster.link().set(Fault::Cut(On::All));
            cluster.link().set(Fault::None);
        }
    }
}

/// One of the clients that share a session.
struct Tab<'a, 'b> {
    random: Random,
    session: &'a Mutex<&'b mut Tracked>,
    events: &'a Mutex<Vec<Event>>,
    clients: &'a [Client],
    pool: &'a PgPool,
    progress: &'a watch::Sender<usize>,
    over: watch::Receiver<bool>,
    ticks: &'a AtomicU64,
    may_end: bool,
}

impl Tab<'_, '_> {
    async fn run(mut self) {
        for _ in 0..=self.random.below(4) {
            self.use_session().await;
            self.progress.send_modify(|progress| *progress += 1);
        }
    }

    async fn use_session(&mut self) {
        let at = if self.random.chance(10) { At::Reference } else { At::Node };
        let op = self.session.lock().unwrap().choose(&mut self.random, at, self.may_end);
        let access_token = self.session.lock().unwrap().access_token.clone();
        let begun = self.tick();
        let (client, pool) = (self.random.pick(self.clients), self.pool);
        let asking = async {
            match at {
                At::Node => ask(client, &op, &access_token).await,
                At::Reference => ask_reference(pool, &op).await.unwrap_or(Outcome::Unknown),
            }
        };
        let hangs_up = at == At::Node && self.random.chance(10);
        let outcome = if hangs_up {
            let patience = Duration::from_micros(self.random.next() % 5_000);
            tokio::time::timeout(patience, asking).await.unwrap_or(Outcome::Unknown)
        } else {
            asking.await
        };
        let is_heard = self.random.chance(70);
        if let (
            Op::Refresh(presented) | Op::ReferenceRefresh { presented, .. },
            Outcome::Token(token),
        ) = (&op, &outcome)
            && is_heard
        {
            self.session.lock().unwrap().receive(presented, token);
        }
        let waits = outcome == Outcome::Unknown && self.random.chance(60);
        let ended = self.tick();
        self.events.lock().unwrap().push(Event { op, outcome, begun, ended, is_heard });
        if waits {
            self.over.wait_for(|over| *over).await.expect("the trouble ends");
        }
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn ask_reference(db: &PgPool, op: &Op) -> sqlx::Result<Outcome> {
    Ok(match op {
        Op::ReferenceRefresh { presented, fresh } => {
            if reference::find_user(db, presented).await?.is_none() {
                return Ok(Outcome::Refused);
            }
            match reference::rotate(db, presented, fresh).await? {
                Some(_) => Outcome::Token(fresh.clone()),
                None => Outcome::Refused,
            }
        }
        Op::ReferenceSignOut(presented) => {
            reference::sign_out(db, presented).await?;
            Outcome::Done
        }
        _ => panic!("{op:?} is not the reference's"),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_are_killed_and_a_postgres_that_crashes_keep_the_promise() {
    let mut soak = Soak::new("processes_that_are_killed");
    let mut world = World::start().await;
    while let Some(mut random) = soak.next_round() {
        let mut sessions = Vec::new();
        for at in 0..SESSIONS {
            sessions.push(Tracked::new(&world.client(at % NODES).anonymous().await));
        }
        let mut troubles = vec![
            Trouble::None,
            Trouble::Node(random.below(NODES)),
            Trouble::Postgres(End::Immediate),
            Trouble::Connections,
            Trouble::Node(random.below(NODES)),
            Trouble::Postgres(End::Fast),
            Trouble::Connections,
        ];
        while !troubles.is_empty() {
            let trouble = troubles.remove(random.below(troubles.len()));
            let events = world.phase(&mut random, &mut sessions, trouble).await;
            world.rest().await;
            for (session, events) in sessions.iter_mut().zip(&events) {
                world.conclude(session, events, trouble).await;
                if !session.is_live() || !session.is_owned() {
                    let node = world.client(random.below(NODES));
                    *session = Tracked::new(&node.anonymous().await);
                } else if random.chance(30) {
                    world.age(session).await;
                }
            }
        }
    }
}
