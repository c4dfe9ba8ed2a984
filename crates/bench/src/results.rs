//! What was measured at one session count, in the units that are reported.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::database_counters::{Counts, Updates};
use crate::run::{Measured, Tally};

/// Share of what was due that must have had a good response for a rate to count as reached.
const KEPT_UP: f64 = 0.98;

/// One server at one session count.
#[derive(Clone, Debug, Serialize)]
pub struct LoadResult {
    pub server: char,
    pub sessions: usize,
    /// Rows that `auth.refresh_tokens` was filled up to (`--rows`).
    pub rows: Option<u64>,
    /// Password sign-ins per second meanwhile (`--sign-in-burst`).
    pub sign_ins_per_second: Option<f64>,
    /// The same before, while nothing else was asked.
    pub sign_ins_alone_per_second: Option<f64>,
    /// Throughput by that of a bare HTTP server at the same count in the same run (`--baseline`).
    pub of_bare: Option<f64>,
    /// Refreshes spread over many sessions (`--population`).
    pub population: Option<PopulationUse>,
    /// Requests a second that were asked for (`bench mix`).
    pub target_per_second: Option<f64>,
    /// Whether the server kept up with that.
    pub target_reached: Option<bool>,
    pub seconds: f64,
    pub requests: u64,
    pub per_second: f64,
    pub latency_ms: Latency,
    /// Sessions whose newest token was refused; must be 0.
    pub lost_sessions: u64,
    pub given_up_sessions: u64,
    /// Requests that found no free connection within the time-out, or before the end.
    pub not_started: u64,
    pub errors: BTreeMap<String, u64>,
    /// By operation, or by step of one, where there are several.
    pub parts: Vec<PartResult>,
    pub database: Option<DatabaseWork>,
    pub client_cpu: Option<Cpu>,
    pub cpu: Vec<NamedCpu>,
}

/// One operation of a mix, or one step of a sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct PartResult {
    pub name: &'static str,
    pub requests: u64,
    pub per_second: f64,
    pub latency_ms: Latency,
    pub lost_sessions: u64,
    pub not_started: u64,
    pub errors: BTreeMap<String, u64>,
}

/// How far refreshes went through a population.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PopulationUse {
    pub sessions: usize,
    /// Refreshes for each session; above 1 it was gone through again in another order.
    pub times_around: f64,
}

/// What the database did for a request (`--database-url`).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DatabaseWork {
    pub wal_bytes_per_request: Option<f64>,
    pub statements_per_request: Option<f64>,
    /// `pg_stat_statements`, or `xact_commit`, which counts transactions.
    pub statements_from: &'static str,
    pub refresh_tokens: UpdatedRows,
    pub users: UpdatedRows,
}

/// Rows of a table that were updated.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct UpdatedRows {
    pub updated_per_request: Option<f64>,
    /// Share that touched no index (HOT); absent without an update.
    pub hot_share: Option<f64>,
}

/// Milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// CPU time that a process took for the run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cpu {
    /// Absent without a single good response.
    pub us_per_request: Option<f64>,
    /// Cores kept busy on average.
    pub cores: f64,
}

/// [`Cpu`] of a process that was named on the command line; absent if it ended.
#[derive(Clone, Debug, Serialize)]
pub struct NamedCpu {
    pub name: String,
    pub pid: u32,
    #[serde(flatten)]
    pub cpu: Option<Cpu>,
}

/// The closed loop against a server that does nothing.
#[derive(Clone, Debug, Serialize)]
pub struct BareResponse {
    pub client: LoadResult,
    pub server_us_per_request: Option<f64>,
}

/// A to B; absent where B has nothing to divide by.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    pub sessions: usize,
    /// Requests a second that were asked for (`bench mix`).
    pub target_per_second: Option<f64>,
    /// Above 1: A has the higher throughput.
    pub throughput: Option<f64>,
    /// Below 1: A has the lower latency.
    pub p99: Option<f64>,
}

impl LoadResult {
    /// Sums up what was measured.
    pub fn new(measured: &Measured) -> Self {
        let tally = &measured.tally;
        let seconds = measured.window.as_secs_f64();
        let cpu = |time: Duration| Cpu {
            us_per_request: divide(time.as_secs_f64() * 1e6, float(tally.ok)),
            cores: divide(time.as_secs_f64(), seconds).unwrap_or(0.0),
        };
        Self {
            server: letter(measured.side),
            sessions: measured.point.sessions,
            rows: None,
            sign_ins_per_second: None,
            sign_ins_alone_per_second: None,
            of_bare: None,
            population: None,
            target_per_second: measured.point.per_second,
            target_reached: measured.point.per_second.map(|_| is_kept_up_with(tally)),
            seconds,
            requests: tally.ok,
            per_second: divide(float(tally.in_window), seconds).unwrap_or(0.0),
            latency_ms: Latency::new(&tally.latency),
            lost_sessions: tally.lost,
            given_up_sessions: tally.given_up,
            not_started: tally.not_started,
            errors: tally.errors.clone(),
            parts: tally
                .parts
                .iter()
                .map(|(name, part)| PartResult::new(name, part, seconds))
                .collect(),
            database: measured.usage.database.map(|counts| DatabaseWork::new(&counts, tally.ok)),
            client_cpu: measured.client_cpu.map(cpu),
            cpu: measured
                .usage
                .cpu
                .iter()
                .map(|(watched, time)| NamedCpu {
                    name: watched.name.clone(),
                    pid: watched.pid,
                    cpu: time.map(cpu),
                })
                .collect(),
        }
    }
}

/// Whether nearly everything that was due has had a good response; what is on its way at the end has
/// one a little later.
fn is_kept_up_with(tally: &Tally) -> bool {
    float(tally.ok) >= float(tally.asked()) * KEPT_UP
}

impl PartResult {
    fn new(name: &'static str, tally: &Tally, seconds: f64) -> Self {
        Self {
            name,
            requests: tally.ok,
            per_second: divide(float(tally.in_window), seconds).unwrap_or(0.0),
            latency_ms: Latency::new(&tally.latency),
            lost_sessions: tally.lost,
            not_started: tally.not_started,
            errors: tally.errors.clone(),
        }
    }
}

impl DatabaseWork {
    fn new(counts: &Counts, requests: u64) -> Self {
        let each = |count: i64| divide(float(count.max(0).unsigned_abs()), float(requests));
        let rows = |updates: Updates| UpdatedRows {
            updated_per_request: each(updates.rows),
            hot_share: divide(
                float(updates.hot.max(0).unsigned_abs()),
                float(updates.rows.max(0).unsigned_abs()),
            ),
        };
        Self {
            wal_bytes_per_request: each(counts.wal_bytes),
            statements_per_request: each(counts.statements),
            statements_from: counts.source.name(),
            refresh_tokens: rows(counts.refresh_tokens),
            users: rows(counts.users),
        }
    }
}

impl Latency {
    fn new(nanos: &Histogram<u64>) -> Self {
        let at = |quantile| float(nanos.value_at_quantile(quantile)) / 1e6;
        Self {
            mean: nanos.mean() / 1e6,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: float(nanos.max()) / 1e6,
        }
    }
}

impl Ratio {
    /// Compares two servers at one session count.
    pub fn new(a: &LoadResult, b: &LoadResult) -> Self {
        Self {
            sessions: a.sessions,
            target_per_second: a.target_per_second,
            throughput: divide(a.per_second, b.per_second),
            p99: divide(a.latency_ms.p99, b.latency_ms.p99),
        }
    }
}

/// The letter of a side in reports.
pub fn letter(side: usize) -> char {
    if side == 0 { 'A' } else { 'B' }
}

/// The quotient, unless there is nothing to divide by.
pub fn divide(value: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| value / by)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds stay far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}
