//! Results of a run: as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args::{self, Operation};
use crate::profile;
use crate::results::{BareResponse, Latency, LoadResult, Ratio, divide, letter};
use crate::run::Measured;

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for: `refresh`, `verify` or `user`.
    pub operation: &'static str,
    /// The servers, in the order of their letters A and B.
    pub servers: Vec<String>,
    /// Profile that server A was built with; absent if it names none.
    pub server_profile: Option<String>,
    /// The same of server B.
    pub against_profile: Option<String>,
    /// Cores that the load generator could use.
    pub cores: usize,
    pub client_threads: usize,
    /// Whether the run was ended before its time.
    pub interrupted: bool,
    pub results: Vec<LoadResult>,
    /// A to B, one for each session count; empty with one server.
    pub ratios: Vec<Ratio>,
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
        let results: Vec<LoadResult> = measured.iter().map(LoadResult::new).collect();
        let of_b =
            |a: &LoadResult| results.iter().find(|b| b.server == 'B' && b.sessions == a.sessions);
        let ratios = results
            .iter()
            .filter(|result| result.server == 'A')
            .filter_map(|a| of_b(a).map(|b| Ratio::new(a, b)))
            .collect();
        let (operation, cores) = (operation.name(), args::cores());
        Self {
            operation,
            servers,
            server_profile: None,
            against_profile: None,
            cores,
            client_threads,
            interrupted,
            results,
            ratios,
        }
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
    pub fn compare_to(&mut self, bare: &[BareResponse]) {
        for result in &mut self.results {
            let same = bare.iter().find(|bare| bare.client.sessions == result.sessions);
            result.of_bare =
                same.and_then(|bare| divide(result.per_second, bare.client.per_second));
        }
    }

    /// Sessions lost on all servers; anything but 0 is a failure of a server.
    pub fn lost_sessions(&self) -> u64 {
        self.results.iter().map(|result| result.lost_sessions).sum()
    }

    /// The table, several lines, without a line end at its end.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let profiles = [self.server_profile.as_deref(), self.against_profile.as_deref()];
        for (side, (server, profile)) in self.servers.iter().zip(profiles).enumerate() {
            let _ = writeln!(text, "{} = {server} {}", letter(side), profile::label(profile));
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
        for (side, warning) in profiles.map(profile::warning).iter().enumerate() {
            if let Some(warning) = warning {
                let _ = writeln!(text, "{}: {warning}", letter(side));
            }
        }
        let lost = self.lost_sessions();
        if lost > 0 {
            let _ = writeln!(text, "{lost} SESSIONS LOST: the newest token was refused");
        }
        if self.interrupted {
            let _ = writeln!(text, "interrupted: these are the results so far");
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::cpu::WatchedProcess;
    use crate::run::Tally;

    fn measured(side: usize, requests: u64, unit: Duration) -> Measured {
        let mut tally = Tally { ok: requests, in_window: requests, ..Tally::default() };
        for step in 1..=1_000_u64 {
            tally.latency.record(step * u64::try_from(unit.as_nanos()).unwrap()).unwrap();
        }
        let watched = WatchedProcess { name: "server".to_owned(), pid: 7 };
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
    fn results_are_those_of_the_histogram_and_the_clock() {
        let result = LoadResult::new(&measured(0, 10_000, Duration::from_micros(10)));
        assert!(near(result.per_second, 5_000.0));
        let Latency { p50, p99, p999, max, .. } = result.latency_ms;
        assert!(near(p50, 5.0) && near(p99, 9.9) && near(p999, 9.99) && near(max, 10.0));
        let cpu = result.cpu[0].cpu.unwrap();
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
    fn no_response_divides_by_nothing() {
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
    fn programs_read_flat_results() {
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
