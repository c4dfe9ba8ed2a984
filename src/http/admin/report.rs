//! The supervision tree as the admin listener shows it and `keywright actors` reads it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::housekeeping::HousekeepingReport;
use crate::actors::runtime::supervisor::{ChildState, ChildStatus, Criticality};
use crate::app::App;
use crate::hasura::background::Progress;
use crate::metrics::{ActorStats, BatcherStats, Snapshot};

/// One node and its tree.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TreeReport {
    pub version: String,
    /// RFC 3339.
    pub started_at: String,
    pub uptime_s: f64,
    /// Whether every vital actor runs.
    pub standing: bool,
    /// Paths of actors without which the node goes on, and which do not run or fail too often.
    #[serde(default)]
    pub degraded: Vec<String>,
    /// Why Hasura does not have its metadata yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hasura_metadata_failure: Option<String>,
    pub root: ActorReport,
    #[serde(default)]
    pub housekeeping: HousekeepingReport,
}

/// One actor, and what it supervises.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActorReport {
    pub name: String,
    /// Its names from the root down, with slashes; empty at the root.
    pub path: String,
    pub kind: Kind,
    /// Whether the node is ready without it.
    #[serde(default)]
    pub criticality: CriticalityReport,
    pub state: State,
    pub started_at: String,
    pub uptime_s: f64,
    /// Since the process started.
    pub restarts: u64,
    /// Of this actor within the window of its supervisor.
    pub restarts_in_window: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<FailureReport>,
    /// Of a supervisor: what it allows its children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<PolicyReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<MailboxReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler_s: Option<Distribution>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatcherReport>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<ActorReport>,
}

/// See [`Criticality`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CriticalityReport {
    #[default]
    Vital,
    Degrading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Supervisor,
    Actor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Running,
    /// Ended, and waiting for its next start.
    BackingOff,
    /// The root only: nothing is started again, the node drains.
    GaveUp,
}

impl State {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::BackingOff => "backing-off",
            Self::GaveUp => "gave-up",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureReport {
    pub reason: String,
    pub at: String,
    pub ago_s: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    pub max_restarts: u32,
    pub window_s: f64,
    /// Restarts of all children within the window; one more than `max_restarts` escalates.
    pub restarts_in_window: usize,
    pub backoff_min_s: f64,
    pub backoff_max_s: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxReport {
    /// Messages of callers that the actor has not taken yet.
    pub queued: usize,
    /// Calls that were sent and have no reply yet.
    pub in_flight: usize,
    /// Most calls in flight; more are refused with 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Calls turned away by the limit, since the process started.
    pub refused: u64,
    /// Calls without a reply in time, since the process started.
    pub timed_out: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatcherReport {
    pub lane: String,
    /// Keys that wait for the next batch.
    pub waiting: usize,
    pub size: Distribution,
    /// From leaving to ending.
    pub time_s: Distribution,
}

/// Values since the process started; quantiles are estimates. Null where there are no values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    pub count: u64,
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
    /// Upper ends and counts of the buckets that have values; the last end may be null, for infinite.
    pub buckets: Vec<(Option<f64>, u64)>,
}

impl From<Snapshot> for Distribution {
    fn from(snapshot: Snapshot) -> Self {
        let buckets = snapshot.buckets().into_iter().filter(|(_, count)| *count > 0);
        Self {
            count: snapshot.count(),
            mean: snapshot.mean(),
            p50: snapshot.quantile(0.5),
            p90: snapshot.quantile(0.9),
            p99: snapshot.quantile(0.99),
            buckets: buckets.map(|(end, n)| (Some(end).filter(|e| e.is_finite()), n)).collect(),
        }
    }
}

impl TreeReport {
    /// As of now.
    pub fn of(app: &App) -> Self {
        let now = PointInTime { monotonic: Instant::now(), wall: app.clock.now() };
        let list: VecDeque<_> = app.tree.in_order().into();
        let policy = app.restart_policy.get();
        let root_started = now.monotonic - now.since(app.started_at);
        let gave_up = app.gave_up.is_cancelled();
        let children = children(&list, "", &now, policy.window);
        let root = ActorReport {
            name: "root".to_owned(),
            path: String::new(),
            kind: Kind::Supervisor,
            criticality: CriticalityReport::Vital,
            state: if gave_up { State::GaveUp } else { State::Running },
            started_at: now.text(root_started),
            uptime_s: now.ago(root_started),
            restarts: 0,
            restarts_in_window: 0,
            last_failure: None,
            restart_policy: Some(policy_report(policy, &children)),
            mailbox: None,
            handler_s: None,
            batches: Vec::new(),
            children,
        };
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: root.started_at.clone(),
            uptime_s: root.uptime_s,
            standing: app.tree.is_standing() && !gave_up,
            degraded: app.tree.degraded(policy),
            hasura_metadata_failure: match app.hasura.progress() {
                Progress::Failing(cause) => Some(cause),
                Progress::Nothing | Progress::Applied => None,
            },
            root,
            housekeeping: HousekeepingReport::of(app),
        }
    }
}

/// One point in time on both clocks.
struct PointInTime {
    monotonic: Instant,
    wall: OffsetDateTime,
}

impl PointInTime {
    fn since(&self, wall: OffsetDateTime) -> Duration {
        Duration::try_from(self.wall - wall).unwrap_or_default()
    }

    fn ago(&self, at: Instant) -> f64 {
        self.monotonic.saturating_duration_since(at).as_secs_f64()
    }

    fn text(&self, at: Instant) -> String {
        let wall = self.wall - self.monotonic.saturating_duration_since(at);
        wall.format(&Rfc3339).unwrap_or_default()
    }
}

/// The actors directly below `parent`, with all that is below them.
fn children(
    list: &VecDeque<(String, ChildStatus)>,
    parent: &str,
    now: &PointInTime,
    window: Duration,
) -> Vec<ActorReport> {
    let is_child = |path: &str| match path.rsplit_once('/') {
        Some((above, _)) => above == parent,
        None => parent.is_empty(),
    };
    list.iter()
        .filter(|(path, _)| is_child(path))
        .map(|(path, status)| actor(list, path, status, now, window))
        .collect()
}

fn actor(
    list: &VecDeque<(String, ChildStatus)>,
    path: &str,
    status: &ChildStatus,
    now: &PointInTime,
    window: Duration,
) -> ActorReport {
    let policy = status.policy.as_ref().map(crate::actors::runtime::supervisor::LivePolicy::get);
    let below = children(list, path, now, policy.map_or(window, |policy| policy.window));
    ActorReport {
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        path: path.to_owned(),
        kind: if policy.is_some() { Kind::Supervisor } else { Kind::Actor },
        criticality: match status.criticality {
            Criticality::Vital => CriticalityReport::Vital,
            Criticality::Degrading => CriticalityReport::Degrading,
        },
        state: match status.state {
            ChildState::Running => State::Running,
            ChildState::BackingOff => State::BackingOff,
        },
        started_at: now.text(status.started_at),
        uptime_s: match status.state {
            ChildState::Running => now.ago(status.started_at),
            ChildState::BackingOff => 0.0,
        },
        restarts: status.restarts,
        restarts_in_window: status.failures_in(window),
        last_failure: status.last_failure.as_ref().map(|failure| FailureReport {
            reason: failure.reason.clone(),
            at: now.text(failure.at),
            ago_s: now.ago(failure.at),
        }),
        restart_policy: policy.map(|policy| policy_report(policy, &below)),
        mailbox: status.stats.as_deref().map(mailbox),
        handler_s: status.stats.as_ref().map(|stats| stats.handler.snapshot().into()),
        batches: status
            .stats
            .iter()
            .flat_map(|stats| stats.batchers())
            .map(|l| batcher(&l))
            .collect(),
        children: below,
    }
}

fn policy_report(
    policy: crate::actors::runtime::supervisor::RestartPolicy,
    children: &[ActorReport],
) -> PolicyReport {
    PolicyReport {
        max_restarts: policy.max_restarts,
        window_s: policy.window.as_secs_f64(),
        restarts_in_window: children
            .iter()
            .filter(|child| child.criticality == CriticalityReport::Vital)
            .map(|child| child.restarts_in_window)
            .sum(),
        backoff_min_s: policy.backoff_min.as_secs_f64(),
        backoff_max_s: policy.backoff_max.as_secs_f64(),
    }
}

fn mailbox(stats: &ActorStats) -> MailboxReport {
    MailboxReport {
        queued: stats.queued(),
        in_flight: stats.in_flight.load(Ordering::Relaxed),
        limit: stats.limit(),
        refused: stats.refused.get(),
        timed_out: stats.timed_out.get(),
    }
}

fn batcher(stats: &BatcherStats) -> BatcherReport {
    BatcherReport {
        lane: stats.name.to_owned(),
        waiting: stats.waiting.load(Ordering::Relaxed),
        size: stats.sizes().into(),
        time_s: stats.times().into(),
    }
}
