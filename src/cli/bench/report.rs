//! Figures of a run: as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::floor::BareAnswer;
use super::run::{Measured, Operation};

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for: `refresh`, `verify` or `user`.
    pub operation: &'static str,
    /// The servers, in the order of their letters A and B.
    pub servers: Vec<String>,
    /// Cores that the load generator could use.
    pub cores: usize,
    pub client_threads: usize,
    /// Whether the run was ended before its time.
    pub interrupted: bool,
    pub results: Vec<Figures>,
    /// A to B, one for each session count; empty with one server.
    pub ratios: Vec<Ratio>,
}

/// One server at one session count.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub server: char,
    pub sessions: usize,
    /// Rows that `auth.refresh_tokens` was filled up to (`--rows`).
    pub rows: Option<u64>,
    /// Password sign-ins that were answered meanwhile (`--storm`).
    pub sign_ins_per_second: Option<f64>,
    /// Throughput by that of a bare HTTP server at the same count in the same run (`--floor`).
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
    /// Absent without a single good answer.
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

/// A to B; absent where B has nothing to divide by.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    pub sessions: usize,
    /// Above 1: A answers more.
    pub throughput: Option<f64>,
    /// Below 1: A answers sooner.
    pub p99: Option<f64>,
}

impl Figures {
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

impl Report {
    /// Sorts out what was measured; ratios come with a second server.
    pub fn new(
        operation: Operation,
        servers: Vec<String>,
        client_threads: usize,
        interrupted: bool,
        measured: &[Measured],
    ) -> Self {
        let results: Vec<Figures> = measured.iter().map(Figures::new).collect();
        let of_b =
            |a: &Figures| results.iter().find(|b| b.server == 'B' && b.sessions == a.sessions);
        let ratios = results
            .iter()
            .filter(|figures| figures.server == 'A')
            .filter_map(|a| of_b(a).map(|b| Ratio::new(a, b)))
            .collect();
        let (operation, cores) = (operation.name(), super::args::cores());
        Self { operation, servers, cores, client_threads, interrupted, results, ratios }
    }

    /// One report after the other.
    pub fn joined(first: Option<Self>, mut next: Self) -> Self {
        let Some(mut all) = first else { return next };
        all.interrupted |= next.interrupted;
        all.results.append(&mut next.results);
        all.ratios.append(&mut next.ratios);
        all
    }

    /// Sets throughputs in relation to that of a bare server with as many sessions.
    pub fn compare_to(&mut self, bare: &[BareAnswer]) {
        for figures in &mut self.results {
            let same = bare.iter().find(|bare| bare.client.sessions == figures.sessions);
            figures.of_bare =
                same.and_then(|bare| divide(figures.per_second, bare.client.per_second));
        }
    }

    /// Sessions lost on all servers; anything but 0 is a failure of a server.
    pub fn lost_sessions(&self) -> u64 {
        self.results.iter().map(|figures| figures.lost_sessions).sum()
    }

    /// The table, several lines, without a line end at its end.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (side, server) in self.servers.iter().enumerate() {
            let _ = writeln!(text, "{} = {server}", letter(side));
        }
        let _ = writeln!(
            text,
            "\n{:<2}{:>9}{:>11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>7}{:>8}  CPU µs/request (cores)",
            "",
            "sessions",
            format!("{}/s", self.operation),
            "p50 ms",
            "p90",
            "p99",
            "p99.9",
            "max",
            "lost",
            "errors"
        );
        for row in &self.results {
            let Latency { p50, p90, p99, p999, max, .. } = row.latency_ms;
            let errors: u64 = row.errors.values().sum();
            let _ = writeln!(
                text,
                "{:<2}{:>9}{:>11.0}{p50:>9.3}{p90:>9.3}{p99:>9.3}{p999:>9.3}{max:>9.2}{:>7}{errors:>8}  {}",
                row.server,
                row.sessions,
                row.per_second,
                row.lost_sessions,
                row.cpu_text()
            );
        }
        for row in &self.results {
            for (kind, count) in &row.errors {
                let _ =
                    writeln!(text, "{} at {} sessions: {count} x {kind}", row.server, row.sessions);
            }
            if row.given_up_sessions > 0 {
                let (server, given_up) = (row.server, row.given_up_sessions);
                let _ = writeln!(
                    text,
                    "{server} at {} sessions: {given_up} sessions given up after refusals in a row",
                    row.sessions
                );
            }
        }
        for ratio in &self.ratios {
            let show = |value: Option<f64>| {
                value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.2}"))
            };
            let _ = writeln!(
                text,
                "A/B at {} sessions: throughput {}, p99 {}",
                ratio.sessions,
                show(ratio.throughput),
                show(ratio.p99)
            );
        }
        let lost = self.lost_sessions();
        if lost > 0 {
            let _ = writeln!(text, "{lost} SESSIONS LOST: the newest token was refused");
        }
        if self.interrupted {
            let _ = writeln!(text, "interrupted: these are the figures so far");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl Figures {
    fn cpu_text(&self) -> String {
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
        parts.join(", ")
    }
}

impl Ratio {
    fn new(a: &Figures, b: &Figures) -> Self {
        Self {
            sessions: a.sessions,
            throughput: divide(a.per_second, b.per_second),
            p99: divide(a.latency_ms.p99, b.latency_ms.p99),
        }
    }
}

fn letter(side: usize) -> char {
    if side == 0 { 'A' } else { 'B' }
}

fn divide(value: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| value / by)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds stay far below 2^52")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::super::cpu::Watched;
    use super::super::run::Tally;
    use super::*;

    fn measured(side: usize, requests: u64, unit: Duration) -> Measured {
        let mut tally = Tally { ok: requests, in_window: requests, ..Tally::default() };
        for step in 1..=1_000_u64 {
            tally.latency.record(step * u64::try_from(unit.as_nanos()).unwrap()).unwrap();
        }
        let watched = Watched { name: "server".to_owned(), pid: 7 };
        Measured {
            sessions: 4,
            side,
            window: Duration::from_secs(2),
            tally,
            client_cpu: None,
            watched_cpu: vec![(watched, Some(Duration::from_millis(100)))],
        }
    }

    fn near(value: f64, wanted: f64) -> bool {
        (value - wanted).abs() <= wanted * 0.002
    }

    #[test]
    fn figures_are_those_of_the_histogram_and_the_clock() {
        let figures = Figures::new(&measured(0, 10_000, Duration::from_micros(10)));
        assert!(near(figures.per_second, 5_000.0));
        let Latency { p50, p99, p999, max, .. } = figures.latency_ms;
        assert!(near(p50, 5.0) && near(p99, 9.9) && near(p999, 9.99) && near(max, 10.0));
        let cpu = figures.cpu[0].cpu.unwrap();
        assert!(near(cpu.us_per_request.unwrap(), 10.0) && near(cpu.cores, 0.05));
    }

    #[test]
    fn two_servers_give_a_ratio_and_one_gives_none() {
        let a = measured(0, 10_000, Duration::from_micros(10));
        let one = Report::new(Operation::Refresh, vec!["a".to_owned()], 1, false, &[a]);
        assert!(one.ratios.is_empty());
        let a = measured(0, 10_000, Duration::from_micros(10));
        let b = measured(1, 2_000, Duration::from_micros(40));
        let two = Report::new(
            Operation::Refresh,
            vec!["a".to_owned(), "b".to_owned()],
            1,
            false,
            &[a, b],
        );
        assert!(near(two.ratios[0].throughput.unwrap(), 5.0));
        assert!(near(two.ratios[0].p99.unwrap(), 0.25));
        assert!(two.table().contains("A/B at 4 sessions: throughput 5.00, p99 0.25"));
    }

    #[test]
    fn nothing_answered_divides_by_nothing() {
        let mut dead = measured(1, 0, Duration::from_micros(1));
        dead.tally = Tally { lost: 4, ..Tally::default() };
        let a = measured(0, 10, Duration::from_micros(1));
        let report = Report::new(
            Operation::Refresh,
            vec!["a".to_owned(), "b".to_owned()],
            1,
            true,
            &[a, dead],
        );
        assert!(report.ratios[0].throughput.is_none());
        assert!(report.results[1].cpu[0].cpu.unwrap().us_per_request.is_none());
        let table = report.table();
        assert!(table.contains("4 SESSIONS LOST") && table.contains("interrupted"));
    }

    #[test]
    fn programs_read_flat_figures() {
        let report = Report::new(
            Operation::Refresh,
            vec!["a".to_owned()],
            1,
            false,
            &[measured(0, 10, Duration::from_micros(1))],
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["results"][0]["server"], "A");
        assert_eq!(json["results"][0]["cpu"][0]["name"], "server");
        assert!(json["results"][0]["cpu"][0]["us_per_request"].is_number());
        assert_eq!(json["results"][0]["lost_sessions"], 0);
    }
}
