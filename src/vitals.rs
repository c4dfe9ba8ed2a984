//! How this node is, looked at once a second: for its heartbeat, and for the plots of its last ten
//! minutes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::actors::cluster::digest::Digest;
use crate::actors::cluster::history::Sample;
use crate::actors::runtime::supervisor::{ChildState, Criticality};
use crate::app::App;
use crate::metrics::{HttpStats, Snapshot};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Looks over which the figures of a heartbeat are taken.
const SPAN: usize = 5;
/// The lane of the batches that rotate sessions.
const LANE: &str = "rotate";

/// The requests that are watched.
pub struct Watched {
    pub http: Arc<HttpStats>,
    /// The place of `POST /token` among its routes.
    pub refresh: usize,
}

/// What has been counted up to a time.
struct Reading {
    at: Instant,
    refreshes: Snapshot,
    batches: Vec<Snapshot>,
    restarts: u64,
}

/// What happened between two readings.
struct Span {
    refreshes_per_s: f64,
    p99_s: Option<f64>,
    batch_size: Option<f64>,
    restarts: u64,
}

/// Looks and tells, for as long as it is polled.
pub async fn keep_looking(app: Arc<App>, watched: Watched) {
    let mut readings = VecDeque::from([Reading::take(&app, &watched)]);
    tell(&app, &readings[0].until(&readings[0]));
    let mut rhythm = interval(EVERY);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Skip);
    rhythm.tick().await;
    loop {
        rhythm.tick().await;
        app.cluster.use_keys(&app.keys.load());
        let now = Reading::take(&app, &watched);
        if let Some(last) = readings.back() {
            let second = last.until(&now);
            app.cluster.history().push(Sample {
                at: app.clock.now().unix_timestamp(),
                refreshes: second.refreshes_per_s,
                refresh_p99_s: second.p99_s,
                batch_size: second.batch_size,
                restarts: float(second.restarts),
                hashes_waiting: float(hashes_waiting(&app) as u64),
            });
        }
        readings.push_back(now);
        if readings.len() > SPAN + 1 {
            readings.pop_front();
        }
        if let (Some(first), Some(last)) = (readings.front(), readings.back()) {
            tell(&app, &first.until(last));
        }
    }
}

impl Reading {
    fn take(app: &App, watched: &Watched) -> Self {
        let shards = app.actors.sessions.shards();
        let lanes = shards.iter().map(|shard| shard.stats().batcher(LANE).sizes());
        Self {
            at: Instant::now(),
            refreshes: watched.http.route(watched.refresh).latency.snapshot(),
            batches: lanes.collect(),
            restarts: app.tree.list().iter().map(|(_, child)| child.restarts).sum(),
        }
    }

    fn until(&self, later: &Self) -> Span {
        let refreshes = later.refreshes.since(&self.refreshes);
        let seconds = later.at.duration_since(self.at).as_secs_f64();
        let lanes = later.batches.iter().zip(&self.batches).map(|(now, then)| now.since(then));
        let (rows, batches) =
            lanes.fold((0.0, 0), |(rows, count), lane| (rows + lane.sum(), count + lane.count()));
        Span {
            refreshes_per_s: if seconds > 0.0 { float(refreshes.count()) / seconds } else { 0.0 },
            p99_s: refreshes.quantile(0.99),
            batch_size: (batches > 0).then(|| rows / float(batches)),
            restarts: later.restarts.saturating_sub(self.restarts),
        }
    }
}

fn hashes_waiting(app: &App) -> usize {
    app.actors.passwords.stats().in_flight.load(Ordering::Relaxed)
}

/// The digest of the next heartbeat.
fn tell(app: &App, span: &Span) {
    let policy = app.restart_policy.get();
    let tree = app.tree.list();
    let (_, sessions) = app.actors.sessions.session_cache();
    let (_, users, _) = app.actors.sessions.users().metrics();
    let (open, idle) = app.pool.open_and_idle();
    let down = tree.iter().filter(|(_, child)| child.state != ChildState::Running);
    let vital = tree.iter().filter(|(_, child)| child.criticality == Criticality::Vital);
    app.cluster.set_digest(Digest {
        actors: tree.len(),
        actors_down: down.count(),
        standing: app.tree.is_standing() && !app.gave_up.is_cancelled(),
        degraded: app.tree.degraded(policy),
        restarts: tree.iter().map(|(_, child)| child.restarts).sum(),
        restarts_in_window: vital.map(|(_, child)| child.failures_in(policy.window)).sum(),
        max_restarts: policy.max_restarts,
        lease_held: app.actors.sessions.users().is_served(),
        keeps_house: app.actors.housekeeping.metrics().keeps_house(),
        draining: app.drain.phase().is_draining(),
        sessions_cached: sessions,
        users_cached: users,
        refreshes_per_s: span.refreshes_per_s,
        refresh_p99_s: span.p99_s,
        batch_size: span.batch_size,
        hashes_waiting: hashes_waiting(app),
        pool_used: open.saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX)),
        pool_max: app.pool.max_connections(),
        mail_in_flight: app.mail_stats.in_flight.load(Ordering::Relaxed),
        settings_refused: None,
    });
}

#[expect(clippy::cast_precision_loss, reason = "figures for people and plots")]
fn float(value: u64) -> f64 {
    value as f64
}
