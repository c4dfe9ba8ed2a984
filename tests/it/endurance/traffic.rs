//! Clients of three nodes, who remember what they were told and complain if it is not so.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::fleet::{Directory, NODES};
use super::report::Row;
use crate::support::app::{Client, PASSWORD, Session, TestResponse};
use crate::support::jwt;
use crate::support::smtp::eventually;

/// Clients that refresh all the time.
const REFRESHERS: usize = 8;
/// How long somebody else's change may go unnoticed at the very worst (ARCHITECTURE.md, Caches).
const LEASE: Duration = Duration::from_secs(2);
/// Far longer than any response takes.
const NEVER: Duration = Duration::from_secs(20);
/// Accounts whose sign-in is tried at the end; that the others exist is looked up.
const SIGN_INS: usize = 10;

/// What all clients together have seen.
#[derive(Default)]
pub(super) struct Seen {
    requests: AtomicUsize,
    served: AtomicUsize,
    shed: AtomicUsize,
    unanswered: AtomicUsize,
    refreshes: AtomicUsize,
    sessions: AtomicUsize,
    sign_ups: AtomicUsize,
    slowest: Mutex<Duration>,
    staleness: Mutex<Duration>,
    violations: Mutex<Vec<String>>,
}

fn add(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

fn raise(longest: &Mutex<Duration>, to: Duration) {
    let mut longest = longest.lock().unwrap();
    *longest = (*longest).max(to);
}

impl Seen {
    pub(super) fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }

    /// Waits until the clients got this many sessions more.
    pub(super) async fn more_refreshes(&self, count: usize) {
        let goal = self.refreshes() + count;
        eventually("more refreshes", async || self.refreshes() >= goal).await;
    }

    pub(super) fn into_row(self) -> Row {
        Row {
            requests: self.requests.into_inner(),
            served: self.served.into_inner(),
            shed: self.shed.into_inner(),
            unanswered: self.unanswered.into_inner(),
            slowest: self.slowest.into_inner().unwrap(),
            staleness: self.staleness.into_inner().unwrap(),
            sessions: self.sessions.into_inner(),
            sign_ups: self.sign_ups.into_inner(),
            violations: self.violations.into_inner().unwrap(),
            ..Row::default()
        }
    }

    fn complain(&self, what: impl Into<String>) {
        self.violations.lock().unwrap().push(what.into());
    }

    /// The response, unless there was none or it was 503.
    async fn send(&self, request: RequestBuilder) -> Option<TestResponse> {
        add(&self.requests);
        let began = Instant::now();
        let Ok(sent) = tokio::time::timeout(NEVER, Client::try_send(request)).await else {
            self.complain(format!("no response within {NEVER:?}"));
            return None;
        };
        let Ok(response) = sent else {
            add(&self.unanswered);
            return None;
        };
        raise(&self.slowest, began.elapsed());
        if response.status == StatusCode::SERVICE_UNAVAILABLE {
            add(&self.shed);
            let says_when = response.header("retry-after").is_some();
            if !says_when || response.error() != "service-unavailable" {
                self.complain(format!("not how a request is shed: {response:?}"));
            }
            return None;
        }
        if response.status.is_server_error() {
            self.complain(format!("a failure: {response:?}"));
            return None;
        }
        add(&self.served);
        Some(response)
    }

    async fn refresh(&self, client: &Client, token: &str) -> Option<TestResponse> {
        let body = json!({"refreshToken": token});
        self.send(client.request(Method::POST, "/token").json(&body)).await
    }
}

/// What the clients of one run share.
struct Clients<'a> {
    seen: &'a Seen,
    directory: &'a Directory,
    /// Where somebody else changes rows, while Postgres is there.
    direct: watch::Receiver<Option<String>>,
    stop: &'a CancellationToken,
    next: AtomicUsize,
}

/// Traffic while `work` goes on; then everything that was acknowledged must be there.
pub(super) async fn under_traffic<T>(
    directory: &Directory,
    direct: watch::Receiver<Option<String>>,
    work: impl AsyncFnOnce(&Seen) -> T,
) -> (T, Seen) {
    let (seen, stop) = (Seen::default(), CancellationToken::new());
    let clients =
        Clients { seen: &seen, directory, direct, stop: &stop, next: AtomicUsize::new(0) };
    let sessions = join_all((0..REFRESHERS).map(|_| async { clients.any().anonymous().await }));
    let sessions = sessions.await;
    // All this before anything breaks.
    let email = format!("{}@example.com", Uuid::new_v4().simple());
    let changed = clients.any().sign_up(&email).await.session();
    let working = async {
        let result = work(&seen).await;
        stop.cancel();
        result
    };
    let (result, held, accounts, (), ()) = tokio::join!(
        working,
        join_all(sessions.iter().map(|session| clients.keep_refreshing(session))),
        clients.keep_signing_up(),
        clients.keep_signing_out(),
        clients.keep_changing_a_user(&changed),
    );
    for (session, held) in sessions.iter().zip(held) {
        clients.goes_on(session, held).await;
    }
    clients.exist(&accounts).await;
    drop(clients);
    (result, seen)
}

impl Clients<'_> {
    /// The nodes in turn.
    fn any(&self) -> Client {
        self.directory.client(self.next.fetch_add(1, Ordering::SeqCst) % NODES)
    }

    /// An owner who always has the newest token that was received; returns it.
    async fn keep_refreshing(&self, session: &Session) -> String {
        let mut held = session.refresh_token().to_owned();
        let mut ticks = tokio::time::interval(Duration::from_millis(15));
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let Some(response) = self.seen.refresh(&self.any(), &held).await else { continue };
            if response.status != StatusCode::OK {
                self.seen.complain(format!("signed out: {response:?}"));
                break;
            }
            add(&self.seen.refreshes);
            response.session().refresh_token().clone_into(&mut held);
        }
        held
    }

    /// The session of the newest token that was received goes on at every node.
    async fn goes_on(&self, session: &Session, mut held: String) {
        add(&self.seen.sessions);
        for node in 0..NODES {
            let response = self.directory.client(node).refresh(&held).await;
            if response.status != StatusCode::OK {
                self.seen.complain(format!("a session was lost: {response:?}"));
                return;
            }
            let next = response.session();
            if next.id() != session.id() {
                self.seen.complain("another session");
            }
            next.refresh_token().clone_into(&mut held);
        }
    }

    /// Accounts that were acknowledged.
    async fn keep_signing_up(&self) -> Vec<(String, Uuid)> {
        let mut accounts = Vec::new();
        let mut ticks = tokio::time::interval(Duration::from_millis(60));
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let email = format!("{}@example.com", Uuid::new_v4().simple());
            let body = json!({"email": email, "password": PASSWORD});
            let request = self.any().request(Method::POST, "/signup/email-password").json(&body);
            let Some(response) = self.seen.send(request).await else { continue };
            if response.status == StatusCode::OK {
                add(&self.seen.sign_ups);
                accounts.push((email, response.session().user_id()));
            } else {
                self.seen.complain(format!("no sign-up: {response:?}"));
            }
        }
        accounts
    }

    async fn exist(&self, accounts: &[(String, Uuid)]) {
        for (email, id) in accounts.iter().rev().take(SIGN_INS) {
            let response = self.any().sign_in(email, PASSWORD).await;
            if response.status != StatusCode::OK || response.session().user_id() != *id {
                self.seen.complain(format!("an account was lost: {response:?}"));
            }
        }
        let url = self.direct.borrow().clone().expect("Postgres is there");
        let mut db = PgConnection::connect(&url).await.unwrap();
        let ids: Vec<Uuid> = accounts.iter().map(|(_, id)| *id).collect();
        let found: i64 = sqlx::query_scalar("select count(*) from auth.users where id = any ($1)")
            .bind(&ids)
            .fetch_one(&mut db)
            .await
            .unwrap();
        if usize::try_from(found) != Ok(accounts.len()) {
            self.seen.complain(format!("{found} of {} accounts are there", accounts.len()));
        }
        db.close().await.unwrap();
    }

    /// Sessions that are over once a node has said so, at every node.
    async fn keep_signing_out(&self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(60));
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let request = self.any().request(Method::POST, "/signin/anonymous").json(&json!({}));
            let Some(response) = self.seen.send(request).await else { continue };
            let token = response.session().refresh_token().to_owned();
            // Now and then one that every node knows.
            for node in 0..self.next.load(Ordering::SeqCst) % NODES {
                self.seen.refresh(&self.directory.client(node), &token).await;
            }
            if self.sign_out(&token).await {
                for node in 0..NODES {
                    let client = self.directory.client(node);
                    let Some(response) = self.seen.refresh(&client, &token).await else { continue };
                    if response.error() != "invalid-refresh-token" {
                        self.seen.complain(format!("goes on after its sign-out: {response:?}"));
                    }
                }
            }
        }
    }

    /// Whether a node said that it is done.
    async fn sign_out(&self, token: &str) -> bool {
        let body = json!({"refreshToken": token});
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !self.stop.is_cancelled() {
            ticks.tick().await;
            let request = self.any().request(Method::POST, "/signout").json(&body);
            let Some(response) = self.seen.send(request).await else { continue };
            if response.status != StatusCode::OK {
                self.seen.complain(format!("no sign-out: {response:?}"));
            }
            return true;
        }
        false
    }

    /// Somebody else changes a user by SQL; nodes may not serve what was before for longer than a
    /// lease.
    async fn keep_changing_a_user(&self, session: &Session) {
        let mut held = session.refresh_token().to_owned();
        for number in 0_usize.. {
            if self.stop.is_cancelled() {
                return;
            }
            let wanted = Wanted::new(number);
            if self.write(session.user_id(), &wanted).await.is_some() {
                self.watch(&wanted, Instant::now(), &mut held).await;
            } else {
                tokio::time::interval(Duration::from_millis(20)).tick().await;
            }
        }
    }

    /// `Some` if the change was acknowledged.
    async fn write(&self, user: Uuid, wanted: &Wanted) -> Option<()> {
        let url = self.direct.borrow().clone()?;
        let work = async {
            let mut db = PgConnection::connect(&url).await?;
            // Whoever does this is not bound by what binds the nodes.
            sqlx::query("set default_transaction_read_only = off").execute(&mut db).await?;
            sqlx::query(
                "update auth.users set display_name = $2, default_role = $3, disabled = $4
                  where id = $1",
            )
            .bind(user)
            .bind(&wanted.name)
            .bind(wanted.role)
            .bind(wanted.is_disabled)
            .execute(&mut db)
            .await
        };
        tokio::time::timeout(LEASE, work).await.ok()?.ok().map(|_| ())
    }

    /// Until every node has served the change, or could have.
    async fn watch(&self, wanted: &Wanted, written_at: Instant, held: &mut String) {
        let mut noticed = [false; NODES];
        let mut ticks = tokio::time::interval(Duration::from_millis(15));
        while !noticed.iter().all(|noticed| *noticed) && !self.stop.is_cancelled() {
            if written_at.elapsed() > LEASE * 2 {
                return;
            }
            for (node, noticed) in noticed.iter_mut().enumerate() {
                ticks.tick().await;
                let age = written_at.elapsed();
                let client = self.directory.client(node);
                let Some(response) = self.seen.refresh(&client, held).await else { continue };
                if response.status == StatusCode::OK {
                    response.session().refresh_token().clone_into(held);
                }
                if wanted.is_in(&response) {
                    *noticed = true;
                    continue;
                }
                raise(&self.seen.staleness, age);
                if age > LEASE || *noticed {
                    let what = "a response from before a change";
                    self.seen.complain(format!("{what}, {age:?} after it: {response:?}"));
                }
            }
        }
    }
}

/// What somebody has made of a user.
struct Wanted {
    name: String,
    role: &'static str,
    is_disabled: bool,
}

impl Wanted {
    fn new(number: usize) -> Self {
        Self {
            name: format!("name {number}"),
            role: ["user", "editor"][number % 2],
            is_disabled: number % 3 == 2,
        }
    }

    /// Whether a refresh was served by a node that knows.
    fn is_in(&self, response: &TestResponse) -> bool {
        if response.status != StatusCode::OK {
            return self.is_disabled && response.error() == "disabled-user";
        }
        let session = response.session();
        let claims = jwt::payload(session.access_token());
        let role = &claims["https://hasura.io/jwt/claims"]["x-hasura-default-role"];
        !self.is_disabled && session.0["user"]["displayName"] == self.name && *role == self.role
    }
}
