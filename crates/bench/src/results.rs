//! What was measured at one session count, in the units that are reported.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::run::Measured;

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
    pub seconds: f64,
    pub requests: u64,
    pub per_second: f64,
    pub latency_ms: Latency,
    /// Sessions whose newest token was refused; must be 0.
    pub lost_sessions: u64,
    pub given_up_sessions: u64,
    pub errors: BTreeMap<String, u64>,
    pub client_cpu: Option<Cpu>,
    pub cpu: Vec<NamedCpu>,
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
            sessions: measured.sessions,
            rows: None,
            sign_ins_per_second: None,
            sign_ins_alone_per_second: None,
            of_bare: None,
            seconds,
            requests: tally.ok,
            per_second: divide(float(tally.in_window), seconds).unwrap_or(0.0),
            latency_ms: Latency::new(&tally.latency),
            lost_sessions: tally.lost,
            given_up_sessions: tally.given_up,
            errors: tally.errors.clone(),
            client_cpu: measured.client_cpu.map(cpu),
            cpu: measured
                .watched_cpu
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

impl LoadResult {
    /// CPU times and remarks, for the end of a row.
    pub fn cpu_text(&self) -> String {
        let show = |name: &str, cpu: Option<Cpu>| match cpu {
            Some(Cpu { us_per_request: Some(us), cores }) => format!("{name} {us:.1} ({cores:.2})"),
            Some(Cpu { us_per_request: None, cores }) => format!("{name} n/a ({cores:.2})"),
            None => format!("{name} n/a"),
        };
        let mut parts = vec![show("client", self.client_cpu)];
        parts.extend(self.cpu.iter().map(|named| show(&named.name, named.cpu)));
        parts.extend(self.of_bare.map(|ratio| format!("{ratio:.2} of bare HTTP")));
        parts.extend(self.rows.map(|rows| format!("{rows} rows")));
        parts.extend(self.sign_ins_per_second.map(|rate| format!("{rate:.0} sign-ins/s")));
        parts.extend(self.sign_ins_alone_per_second.map(|rate| format!("{rate:.0} alone")));
        parts.join(", ")
    }
}

impl Ratio {
    /// Compares two servers at one session count.
    pub fn new(a: &LoadResult, b: &LoadResult) -> Self {
        Self {
            sessions: a.sessions,
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
