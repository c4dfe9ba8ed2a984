//! The nodes on one database, as this one knows them.
//!
//! No actor of its own: the change feed beats on its connection, once a second, and hears with the same
//! statement who else is there and which settings hold for all. Nothing is decided by it.

pub mod digest;
pub mod history;
pub mod members;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::PgExecutor;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

use self::digest::{Digest, Fingerprinter, Fingerprints};
use self::history::History;
use self::members::{Member, NodeState, Subject, assess};
use crate::config::table;
use crate::domain::clock::Clock;
use crate::persistence::nodes::{self, Heard, Heartbeat, NodeRow};
use crate::persistence::overrides::Overrides;
use crate::tokens::keys::KeySet;

/// Time between two heartbeats, less what the rhythm of the feed may be early.
const DUE_AFTER: Duration = Duration::from_millis(900);
/// Heartbeats between two looks for rows that are to go.
const TIDY_EVERY: u64 = 60;

/// What a node is to others from its start to its end.
pub struct Identity {
    /// Random for each start.
    pub id: Uuid,
    pub name: String,
    pub started: Instant,
    /// Of the front end.
    pub address: SocketAddr,
    /// Of the listener for operators.
    pub admin_address: Option<SocketAddr>,
    /// The settings that it can change while it runs.
    pub knobs: Vec<String>,
}

impl Identity {
    /// Of a node that starts now.
    pub fn new(name: String, address: SocketAddr, admin_address: Option<SocketAddr>) -> Self {
        let tunable = table::all().filter(|setting| setting.is_tunable());
        Self {
            id: Uuid::new_v4(),
            name,
            started: Instant::now(),
            address,
            admin_address,
            knobs: tunable.map(|setting| setting.variable.to_owned()).collect(),
        }
    }
}

/// This node among the others; cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<State>);

struct State {
    own: Identity,
    clock: Clock,
    fingerprinter: Fingerprinter,
    fingerprints: ArcSwap<Fingerprints>,
    digest: ArcSwap<Digest>,
    history: History,
    heard: ArcSwap<(Instant, Vec<NodeRow>)>,
    overrides: watch::Sender<Overrides>,
    /// Why what holds for all does not hold here.
    refused: ArcSwap<Option<String>>,
    beats: AtomicU64,
    last_beat: Mutex<Option<Instant>>,
    /// Whether the log knows that heartbeats fail.
    is_reported: AtomicBool,
    known: Mutex<Known>,
}

/// What the log knows already.
#[derive(Default)]
struct Known {
    own: Vec<Subject>,
    gone: Vec<Uuid>,
}

impl Cluster {
    /// Of a node that is about to serve.
    pub fn new(
        own: Identity,
        clock: Clock,
        fingerprinter: Fingerprinter,
        fingerprints: Fingerprints,
    ) -> Self {
        Self(Arc::new(State {
            own,
            clock,
            fingerprinter,
            fingerprints: ArcSwap::from_pointee(fingerprints),
            // Until somebody has looked.
            digest: ArcSwap::from_pointee(Digest { standing: true, ..Digest::default() }),
            history: History::default(),
            heard: ArcSwap::from_pointee((Instant::now(), Vec::new())),
            overrides: watch::Sender::default(),
            refused: ArcSwap::default(),
            beats: AtomicU64::new(0),
            last_beat: Mutex::default(),
            is_reported: AtomicBool::new(false),
            known: Mutex::default(),
        }))
    }

    /// What this node is called in the table.
    pub fn id(&self) -> Uuid {
        self.0.own.id
    }

    /// Where operators reach this node, if they do.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.0.own.admin_address
    }

    /// The last ten minutes of this node.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// How this node is; goes into the next heartbeat.
    pub fn set_digest(&self, digest: Digest) {
        self.0.digest.store(Arc::new(digest));
    }

    /// The signing keys may have been swapped.
    pub fn use_keys(&self, keys: &KeySet) {
        let jwt_keys = self.0.fingerprinter.jwt_keys(keys);
        let before = self.0.fingerprints.load();
        if before.jwt_keys != jwt_keys {
            let after = Fingerprints { jwt_keys, ..(**before).clone() };
            self.0.fingerprints.store(Arc::new(after));
        }
    }

    /// Why settings that hold for all nodes do not hold here.
    pub fn refused(&self) -> Option<String> {
        (**self.0.refused.load()).clone()
    }

    /// The configuration has changed: settings for all nodes that did not hold here may hold now.
    pub fn try_refused_again(&self) {
        if self.refused().is_some() {
            self.0.overrides.send_modify(|_| ());
        }
    }

    /// They hold now, or do not.
    pub fn set_refused(&self, why: Option<String>) {
        self.0.refused.store(Arc::new(why));
    }

    /// What holds for all nodes, whenever it is heard anew.
    pub fn overrides(&self) -> watch::Receiver<Overrides> {
        self.0.overrides.subscribe()
    }

    /// What holds for all nodes, read before the first heartbeat.
    pub fn begin_with(&self, overrides: Overrides) {
        self.0.overrides.send_replace(overrides);
    }

    /// Everybody as of the last heartbeat.
    pub fn members(&self) -> Vec<Member> {
        let heard = self.0.heard.load();
        assess(&heard.1, heard.0.elapsed())
    }

    /// Whether it is time for a heartbeat.
    pub fn is_due(&self) -> bool {
        let last = *self.0.last_beat.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|last| last.elapsed() >= DUE_AFTER)
    }

    /// A heartbeat. Fails with its connection only: if Postgres refuses it, the node is not seen, and
    /// serves all the same.
    pub async fn beat<'c, E>(&self, db: E) -> sqlx::Result<()>
    where
        E: PgExecutor<'c>,
    {
        let asked = Instant::now();
        *self.0.last_beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        match nodes::beat(db, &self.says()).await {
            Ok(heard) => {
                if self.0.is_reported.swap(false, Ordering::Relaxed) {
                    tracing::info!("heartbeats are accepted again");
                }
                self.hear(asked, heard);
                Ok(())
            }
            Err(error @ (sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. })) => {
                if !self.0.is_reported.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "Postgres does not take the heartbeat of this node, which others will miss"
                    );
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Now and then: removes the rows of nodes that are long gone.
    pub async fn tidy<'c, E>(&self, db: E) -> sqlx::Result<()>
    where
        E: PgExecutor<'c>,
    {
        if !self.0.beats.fetch_add(1, Ordering::Relaxed).is_multiple_of(TIDY_EVERY) {
            return Ok(());
        }
        match nodes::forget_gone(db).await {
            // They go another time.
            Err(sqlx::Error::Database(_)) => Ok(()),
            result => result,
        }
    }

    fn says(&self) -> Heartbeat<'_> {
        let own = &self.0.own;
        let named = |address: SocketAddr| {
            let ip = address.ip().to_canonical();
            (!ip.is_unspecified()).then(|| ip.to_string())
        };
        let mut digest = (**self.0.digest.load()).clone();
        digest.settings_refused = self.refused();
        Heartbeat {
            id: own.id,
            name: &own.name,
            version: env!("CARGO_PKG_VERSION"),
            uptime: own.started.elapsed(),
            host: named(own.address),
            port: own.address.port(),
            admin_host: own.admin_address.and_then(named),
            admin_port: own.admin_address.map(|address| address.port()),
            now: self.0.clock.now() - self.0.clock.advanced(),
            fingerprints: serde_json::to_value(&**self.0.fingerprints.load()).unwrap_or_default(),
            knobs: &own.knobs,
            digest: serde_json::to_value(digest).unwrap_or_default(),
        }
    }

    fn hear(&self, at: Instant, heard: Heard) {
        self.0.heard.store(Arc::new((at, heard.nodes)));
        self.tell_changes(&self.members());
        self.0.overrides.send_if_modified(|known| {
            let is_new = *known != heard.overrides;
            *known = heard.overrides;
            is_new
        });
    }

    /// Logs what was not so before: in what this node disagrees, and who has gone.
    fn tell_changes(&self, members: &[Member]) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let own = members.iter().find(|member| member.row.id == self.id());
        let disagrees = own.map(|own| own.disagrees.clone()).unwrap_or_default();
        for subject in disagrees.iter().filter(|subject| !known.own.contains(subject)) {
            tracing::warn!(
                subject = subject.name(),
                "this node disagrees with the others on its database: {}",
                subject.advice()
            );
        }
        known.own = disagrees;
        let gone: Vec<_> =
            members.iter().filter(|member| member.state == NodeState::Gone).collect();
        for member in &gone {
            // Of one that was gone before this node came, others have told.
            if !known.gone.contains(&member.row.id)
                && member.silent_s < 2.0 * DUE_AFTER.as_secs_f64() + 3.0
            {
                tracing::warn!(
                    node.name = member.row.name,
                    node.id = %member.row.id,
                    "a node is heard of no more"
                );
            }
        }
        known.gone = gone.iter().map(|member| member.row.id).collect();
    }
}
