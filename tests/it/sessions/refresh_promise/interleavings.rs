//! The order of all statements of all nodes is chosen by a seed, and so are the times at which
//! connections and nodes fail: a failing seed fails again, step by step.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use keywright::domain::clock::Clock;
use keywright::persistence::measured_pool::MeasuredPool;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use time::OffsetDateTime;
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use super::model::{Chain, Event, Op, Outcome, Rotated};
use super::reference;
use super::tracked::{At, Reports, Round, Row, Tracked};
use crate::support::app::{Client, TestApp};
use crate::support::gate::{Gate, Verdict};
use crate::support::logs;
use crate::support::postgres::TestDatabase;
use crate::support::random::Random;
use crate::support::soak::Soak;

const NODES: usize = 3;
/// Seconds; far more than a test takes.
const GRACE: i64 = 1_000;
/// Longer than any step may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing here ends because it takes long: statements wait as long as the test likes.
const PATIENT: &[(&str, &str)] = &[
    ("AUTH_REFRESH_TOKEN_GRACE", "1000"),
    ("AUTH_ACTOR_CALL_TIMEOUT", "1h"),
    ("AUTH_HTTP_REQUEST_TIMEOUT", "1h"),
    ("AUTH_LAST_SEEN_INTERVAL", "1h"),
    // The clock goes far.
    ("AUTH_ACCESS_TOKEN_EXPIRES_IN", "10000000"),
];

/// The name of the reference's connection.
const REFERENCE: &str = "the reference";
/// SQLSTATE `deadlock_detected`.
const DEADLOCK: &str = "40P01";
/// Between two looks whether Postgres makes the reference wait.
const LOOK: Duration = Duration::from_millis(10);

/// A node behind its gate.
struct Node {
    app: TestApp,
    gate: Gate,
}

/// Where the reference's statements wait.
#[derive(Default)]
struct Turn(Mutex<Option<(&'static str, oneshot::Sender<()>)>>);

impl Turn {
    async fn wait(&self, statement: &'static str, changed: &Notify) {
        let (go, gone) = oneshot::channel();
        *self.0.lock().unwrap() = Some((statement, go));
        changed.notify_waiters();
        gone.await.expect("somebody decides");
    }
}

/// Nodes and the reference, one operation at each at most.
struct World {
    database: TestDatabase,
    clock: Clock,
    direct: MeasuredPool,
    /// One connection, without our limits: the reference waits for a lock as long as it takes.
    reference: PgPool,
    chain: Chain,
    nodes: Vec<Node>,
    /// Nodes that lost their power; their front ends still run, to no effect.
    dead: Vec<Node>,
    turn: Arc<Turn>,
    changed: Arc<Notify>,
    ticks: u64,
    /// What happened, without anything that differs between two runs of one seed.
    trace: String,
}

/// What a race is about.
struct Plan {
    operations: usize,
    may_end: bool,
    with_reference: bool,
    /// Connections and nodes fail.
    with_failures: bool,
    /// What every operation does; chosen for each if there is none.
    all_do: Option<Op>,
}

impl Plan {
    fn choose(random: &mut Random, session: &Tracked) -> Self {
        let may_end = random.chance(35);
        let all_do = random.chance(20).then(|| session.choose(random, At::Node, may_end));
        Self {
            operations: 2 + random.below(5),
            may_end,
            with_reference: all_do.is_none() && random.chance(40),
            with_failures: random.chance(70),
            all_do,
        }
    }

    /// Each node once, on a good day.
    fn parallel(op: Op) -> Self {
        Self {
            operations: NODES,
            may_end: false,
            with_reference: false,
            with_failures: false,
            all_do: Some(op),
        }
    }
}

/// An operation under way.
struct Running {
    event: usize,
    task: AbortHandle,
}

impl World {
    async fn start() -> Self {
        let database = TestDatabase::new().await;
        let (clock, changed) = (Clock::system(), Arc::new(Notify::new()));
        let start = |_| start_node(&database, &clock, &changed);
        let nodes: Vec<Node> = join_all((0..NODES).map(start)).await;
        let chain = Chain::new(nodes[0].app.app().rotation_key.clone());
        let direct = database.pool().await;
        let options: PgConnectOptions = database.url().parse().unwrap();
        let reference = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(options.application_name(REFERENCE))
            .await
            .unwrap();
        Self {
            database,
            clock,
            direct,
            reference,
            chain,
            nodes,
            dead: Vec::new(),
            turn: Arc::default(),
            changed,
            ticks: 0,
            trace: String::new(),
        }
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    fn note(&mut self, line: &str) {
        let _ = writeln!(self.trace, "{line}");
    }

    fn rotated(&self) -> impl Fn(OffsetDateTime) -> Rotated + Copy + use<> {
        let now = self.clock.now();
        move |at| {
            let is_in_window = now - at <= time::Duration::seconds(GRACE);
            if is_in_window { Rotated::InWindow } else { Rotated::LongAgo }
        }
    }

    /// The statement that waits at a place.
    fn waiting(&self, place: usize) -> Option<String> {
        match self.nodes.get(place) {
            Some(node) => node.gate.waiting(),
            None => self.turn.0.lock().unwrap().as_ref().map(|(name, _)| (*name).to_owned()),
        }
    }

    /// Some operations at the same time on one session, in an order of statements that `random` chooses.
    ///
    /// Returns what was seen, and whether a node lost its power.
    async fn race(
        &mut self,
        random: &mut Random,
        session: &mut Tracked,
        plan: &Plan,
    ) -> (Vec<Event>, bool) {
        let (mut crashed, mut events) = (false, Vec::<Event>::new());
        let mut running: HashMap<usize, Running> = HashMap::new();
        let mut tasks = JoinSet::new();
        self.nodes.iter().for_each(|node| node.gate.close());
        loop {
            let ended = self.settle(&running, &mut tasks).await;
            for (place, outcome) in ended {
                let event = running.remove(&place).expect("it ran").event;
                self.end(place, &mut events[event], outcome, random, session);
            }
            let places = NODES + usize::from(plan.with_reference);
            let idle: Vec<usize> =
                (0..places).filter(|place| !running.contains_key(place)).collect();
            let waiting: Vec<usize> = (0..places).filter(|p| self.waiting(*p).is_some()).collect();
            let may_start = events.len() < plan.operations && !idle.is_empty();
            if may_start && (waiting.is_empty() || random.chance(40)) {
                let place = *random.pick(&idle);
                let at = if place < NODES { At::Node } else { At::Reference };
                let op = match &plan.all_do {
                    Some(op) => op.clone(),
                    None => session.choose(random, at, plan.may_end),
                };
                self.note(&format!("{place} begins {}", session.describe(&op)));
                let begun = self.tick();
                let task = self.begin(place, op.clone(), session, &mut tasks);
                running.insert(place, Running { event: events.len(), task });
                let outcome = Outcome::Unknown;
                events.push(Event { op, outcome, begun, ended: begun, is_heard: false });
            } else if waiting.is_empty() {
                assert!(running.is_empty(), "it neither waits nor ends:\n{}", self.trace);
                break;
            } else {
                let place = *random.pick(&waiting);
                let power_fails = plan.with_failures && place < NODES && random.chance(2);
                let verdict = match random.below(100) {
                    0..6 if plan.with_failures => Verdict::CutBefore,
                    6..12 if plan.with_failures => Verdict::CutAfter,
                    _ => Verdict::Pass,
                };
                let statement = self.waiting(place).expect("it waits");
                self.note(&format!("{place} {statement}: {verdict:?}"));
                self.decide(place, verdict);
                if power_fails {
                    self.note(&format!("{place} loses its power"));
                    crashed = true;
                    let Running { event, task } = running.remove(&place).expect("it ran");
                    task.abort();
                    events[event].ended = self.tick();
                    self.replace(place).await;
                }
            }
        }
        self.nodes.iter().for_each(|node| node.gate.open());
        (events, crashed)
    }

    fn begin(
        &self,
        place: usize,
        op: Op,
        session: &Tracked,
        tasks: &mut JoinSet<(usize, Outcome)>,
    ) -> AbortHandle {
        if let Some(node) = self.nodes.get(place) {
            let client = node.app.client().clone();
            let access_token = session.access_token.clone();
            return tasks.spawn(async move { (place, ask(&client, &op, &access_token).await) });
        }
        let (db, turn) = (self.reference.clone(), Arc::clone(&self.turn));
        let changed = Arc::clone(&self.changed);
        tasks.spawn(async move { (place, ask_reference(&db, &turn, &changed, &op).await) })
    }

    fn end(
        &mut self,
        place: usize,
        event: &mut Event,
        outcome: Outcome,
        random: &mut Random,
        session: &mut Tracked,
    ) {
        event.ended = self.tick();
        event.is_heard = random.chance(70);
        let mut response = "neither";
        match (&event.op, &outcome) {
            (
                Op::Refresh(presented) | Op::ReferenceRefresh { presented, .. },
                Outcome::Token(token),
            ) => {
                response = if event.is_heard { "a token" } else { "a token, which is lost" };
                if event.is_heard {
                    session.receive(presented, token);
                }
            }
            (_, Outcome::Refused) => response = "a refusal",
            (_, Outcome::Done) => response = "OK",
            _ => {}
        }
        event.outcome = outcome;
        self.note(&format!("{place} responds {response}"));
    }

    fn decide(&self, place: usize, verdict: Verdict) {
        if let Some(node) = self.nodes.get(place) {
            return node.gate.decide(verdict);
        }
        // The reference's process does not fail here; it has no part in the promise.
        let (_, go) = self.turn.0.lock().unwrap().take().expect("it waits");
        go.send(()).expect("it waits");
    }

    /// Waits until every running operation waits at its gate or has ended; those that have.
    async fn settle(
        &self,
        running: &HashMap<usize, Running>,
        tasks: &mut JoinSet<(usize, Outcome)>,
    ) -> Vec<(usize, Outcome)> {
        let mut ended = Vec::new();
        let settling = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                while let Some(task) = tasks.try_join_next() {
                    match task {
                        Ok(end) => ended.push(end),
                        // A client whose node lost its power.
                        Err(error) => assert!(error.is_cancelled(), "{error}\n{}", self.trace),
                    }
                }
                let is_settled = |place| {
                    self.waiting(place).is_some() || ended.iter().any(|(other, _)| *other == place)
                };
                let unsettled: Vec<_> =
                    running.keys().filter(|place| !is_settled(**place)).collect();
                if unsettled.is_empty() {
                    return;
                }
                if matches!(unsettled[..], [&NODES]) && self.waits_for_a_node().await {
                    return;
                }
                let moved = async {
                    tokio::select! {
                        () = changed => None,
                        Some(task) = tasks.join_next() => Some(task),
                    }
                };
                match tokio::time::timeout(LOOK, moved).await {
                    Ok(Some(Ok(end))) => ended.push(end),
                    Ok(Some(Err(error))) => {
                        assert!(error.is_cancelled(), "{error}\n{}", self.trace);
                    }
                    Ok(None) | Err(_) => {}
                }
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settling).await;
        assert!(settled.is_ok(), "nothing moves any more:\n{}", self.trace);
        ended.sort_by_key(|(place, _)| *place);
        ended
    }

    /// Whether the reference waits for a lock of a node whose next statement waits at its gate.
    async fn waits_for_a_node(&self) -> bool {
        if self.nodes.iter().all(|node| node.gate.waiting().is_none()) {
            return false;
        }
        sqlx::query_scalar(
            "select exists (select 1 from pg_stat_activity
                             where datname = current_database() and application_name = $1
                               and cardinality(pg_blocking_pids(pid)) > 0)",
        )
        .bind(REFERENCE)
        .fetch_one(&self.direct)
        .await
        .unwrap()
    }

    /// A node loses its power, and another one takes its place.
    async fn replace(&mut self, place: usize) {
        let gate = &self.nodes[place].gate;
        while gate.is_running() {
            // What Postgres has been given it carries out.
            let changed = self.changed.notified();
            if gate.is_running() {
                changed.await;
            }
        }
        gate.die();
        let node = start_node(&self.database, &self.clock, &self.changed).await;
        node.gate.close();
        self.dead.push(std::mem::replace(&mut self.nodes[place], node));
    }

    /// A race, and what must be true after it.
    async fn round(&mut self, random: &mut Random, session: &mut Tracked) {
        let plan = Plan::choose(random, session);
        let (events, crashed) = self.race(random, session, &plan).await;
        let row = Row::find(&self.direct, session.id).await;
        let mut reports = Reports::default();
        for event in logs::security_events(&session.id.to_string()) {
            reports.count(event.get("session.ended").map(String::as_str));
        }
        let round = Round { events: &events, row, reports, lost_reports: crashed };
        let must_live = session.must_live(&events);
        session.conclude(&self.chain, &round, self.rotated());
        if !session.is_live() {
            self.note("the session is over");
            self.is_over(session).await;
        } else if must_live && !session.is_late() {
            self.goes_on(random, session).await;
        }
    }

    /// Parallel uses of what the owner holds, on every node, get one next token.
    async fn goes_on(&mut self, random: &mut Random, session: &mut Tracked) {
        let held = session.held().to_owned();
        let plan = Plan::parallel(Op::Refresh(held.clone()));
        let (events, _) = self.race(random, session, &plan).await;
        let next = self.chain.next(&held);
        for event in &events {
            let expected = Outcome::Token(next.clone());
            assert_eq!(event.outcome, expected, "after\n{}", self.trace);
        }
        // They may all have been lost, but one was not.
        session.receive(&held, &next);
        let row = Row::find(&self.direct, session.id).await;
        let round =
            Round { events: &events, row, reports: Reports::default(), lost_reports: false };
        session.conclude(&self.chain, &round, self.rotated());
    }

    /// No node gives anything for any token of a session that is over.
    async fn is_over(&self, session: &Tracked) {
        for node in &self.nodes {
            let last = self.chain.next(session.held());
            for token in [session.held(), &last] {
                node.app.refresh(token).await.assert_refused(401, "invalid-refresh-token");
            }
        }
    }

    /// The grace window passes.
    fn age(&mut self, sessions: &mut [Tracked]) {
        self.note("time passes");
        self.clock.advance(time::Duration::seconds(2 * GRACE));
        sessions.iter_mut().for_each(Tracked::age);
    }
}

async fn start_node(database: &TestDatabase, clock: &Clock, changed: &Arc<Notify>) -> Node {
    let gate = Gate::to(&database.url(), "refresh_tokens", Arc::clone(changed)).await;
    let behind = TestDatabase::at(gate.url(database.name()), database.name());
    let app = TestApp::start_at(Arc::new(behind), clock.clone(), PATIENT).await;
    Node { app, gate }
}

/// Does it at a node.
pub(super) async fn ask(client: &Client, op: &Op, access_token: &str) -> Outcome {
    let request = match op {
        Op::Refresh(token) => {
            client.request(Method::POST, "/token").json(&json!({"refreshToken": token}))
        }
        Op::SignOut(token) => {
            client.request(Method::POST, "/signout").json(&json!({"refreshToken": token}))
        }
        Op::SignOutEverywhere => client
            .request(Method::POST, "/signout")
            .bearer_auth(access_token)
            .json(&json!({"all": true})),
        Op::ReferenceRefresh { .. } | Op::ReferenceSignOut(_) => panic!("{op:?} is no node's"),
    };
    let Ok(response) = Client::try_send(request).await else { return Outcome::Unknown };
    match (response.status, op) {
        (StatusCode::OK, Op::Refresh(_)) => {
            Outcome::Token(response.session().refresh_token().to_owned())
        }
        (StatusCode::OK, _) => {
            response.assert_ok();
            Outcome::Done
        }
        (StatusCode::UNAUTHORIZED, Op::Refresh(_)) => {
            response.assert_refused(401, "invalid-refresh-token");
            Outcome::Refused
        }
        (StatusCode::BAD_REQUEST, Op::SignOutEverywhere) => {
            response.assert_refused(400, "invalid-request");
            Outcome::Refused
        }
        _ => {
            crate::support::load::assert_shed(&response);
            Outcome::Unknown
        }
    }
}

async fn ask_reference(db: &PgPool, turn: &Turn, changed: &Notify, op: &Op) -> Outcome {
    let asked = async {
        match op {
            Op::ReferenceRefresh { presented, fresh } => {
                turn.wait("the reference looks up", changed).await;
                if reference::find_user(db, presented).await?.is_none() {
                    return Ok(Outcome::Refused);
                }
                turn.wait("the reference rotates", changed).await;
                Ok(match reference::rotate(db, presented, fresh).await? {
                    Some(_) => Outcome::Token(fresh.clone()),
                    None => Outcome::Refused,
                })
            }
            Op::ReferenceSignOut(presented) => {
                turn.wait("the reference deletes", changed).await;
                reference::sign_out(db, presented).await?;
                Ok(Outcome::Done)
            }
            _ => panic!("{op:?} is not the reference's"),
        }
    };
    match asked.await {
        Ok(outcome) => outcome,
        // It locks a session before its user, a node that ends all sessions the user before them.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(DEADLOCK) => {
            Outcome::Unknown
        }
        Err(error) => panic!("{error}"),
    }
}

/// Rounds with these choices; the trace.
async fn rounds(random: &mut Random, count: usize) -> String {
    logs::keep_security_events();
    let mut world = World::start().await;
    let mut sessions = Vec::new();
    for at in 0..3 {
        sessions.push(Tracked::new(&world.nodes[at % NODES].app.anonymous().await));
    }
    for _ in 0..count {
        if random.chance(30) {
            world.age(&mut sessions);
        }
        let at = random.below(sessions.len());
        world.note(&format!("session {at}"));
        world.round(random, &mut sessions[at]).await;
        if !sessions[at].is_live() || !sessions[at].is_owned() {
            let node = &world.nodes[random.below(NODES)];
            sessions[at] = Tracked::new(&node.app.anonymous().await);
        }
    }
    world.trace
}

#[tokio::test]
async fn every_order_of_statements_and_every_failure_between_them_keeps_the_promise() {
    let mut soak = Soak::new("every_order_of_statements");
    while let Some(mut random) = soak.next_round() {
        rounds(&mut random, 60).await;
    }
}

#[tokio::test]
async fn a_seed_reproduces_every_step() {
    let mut random = Random::for_test("a_seed_reproduces_every_step");
    let seed = random.next();
    let traces = [rounds(&mut Random::new(seed), 8).await, rounds(&mut Random::new(seed), 8).await];
    let [one, other] = traces.each_ref().map(|trace| trace.lines().collect::<Vec<_>>());
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let rest = |trace: &[&str]| {
        trace[same.min(trace.len())..].iter().take(3).copied().collect::<Vec<_>>().join("\n")
    };
    assert_eq!(rest(&one), rest(&other), "after\n{}", one[..same].join("\n"));
}
