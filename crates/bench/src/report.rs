//! Results of a run: as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::args;
use crate::profile;
use crate::results::{BareResponse, LoadResult, PopulationUse, Ratio, divide, float, letter};
use crate::rows::rate_text;
use crate::run::Measured;

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked for: `refresh`, `verify`, `user`, `sign-up`, `sign-in` or `mix`.
    pub operation: &'static str,
    /// Which kind of sign-up or sign-in.
    pub kind: Option<&'static str>,
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
        operation: &'static str,
        servers: Vec<String>,
        client_threads: usize,
        interrupted: bool,
        measured: &[Measured],
    ) -> Self {
        let results: Vec<LoadResult> = measured.iter().map(LoadResult::new).collect();
        let is_same = |a: &LoadResult, b: &LoadResult| {
            a.sessions == b.sessions && a.target_per_second == b.target_per_second
        };
        let of_b = |a: &LoadResult| results.iter().find(|b| b.server == 'B' && is_same(a, b));
        let ratios = results
            .iter()
            .filter(|result| result.server == 'A')
            .filter_map(|a| of_b(a).map(|b| Ratio::new(a, b)))
            .collect();
        let cores = args::cores();
        Self {
            operation,
            kind: None,
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

    /// Says how far refreshes, which may be a part of the whole, went through populations of these
    /// sizes.
    pub fn set_populations(&mut self, sizes: &[usize], part: Option<&str>) {
        for result in &mut self.results {
            let requests = match part {
                Some(name) => result.parts.iter().find(|part| part.name == name),
                None => None,
            };
            let requests = requests.map_or(result.requests, |part| part.requests);
            let side = usize::from(result.server != 'A');
            result.population = sizes.get(side).map(|&sessions| PopulationUse {
                sessions,
                times_around: divide(float(requests), float(sessions as u64)).unwrap_or(0.0),
            });
        }
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
            row.write_rows(&mut text);
        }
        for row in &self.results {
            row.write_remarks(&mut text);
        }
        for ratio in &self.ratios {
            let show = |value: Option<f64>| {
                value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.2}"))
            };
            let _ = writeln!(
                text,
                "A/B at {} sessions{}: throughput {}, p99 {}",
                ratio.sessions,
                rate_text(ratio.target_per_second),
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
    use crate::results::Latency;
    use crate::run::{Point, Tally, Usage};

    fn measured(side: usize, requests: u64, unit: Duration) -> Measured {
        let mut tally = Tally { ok: requests, in_window: requests, ..Tally::default() };
        for step in 1..=1_000_u64 {
            tally.latency.record(step * u64::try_from(unit.as_nanos()).unwrap()).unwrap();
        }
        let watched = WatchedProcess { name: "server".to_owned(), pid: 7 };
        Measured {
            point: Point { sessions: 4, per_second: None },
            side,
            window: Duration::from_secs(2),
            tally,
            client_cpu: None,
            usage: Usage { cpu: vec![(watched, Some(Duration::from_millis(100)))], database: None },
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
        let one = Report::new("refresh", vec!["a".to_owned()], 1, false, &[a]);
        assert!(one.ratios.is_empty());
        let a = measured(0, 10_000, Duration::from_micros(10));
        let b = measured(1, 2_000, Duration::from_micros(40));
        let two = Report::new("refresh", vec!["a".to_owned(), "b".to_owned()], 1, false, &[a, b]);
        assert!(near(two.ratios[0].throughput.unwrap(), 5.0));
        assert!(near(two.ratios[0].p99.unwrap(), 0.25));
        assert!(two.table().contains("A/B at 4 sessions: throughput 5.00, p99 0.25"));
    }

    #[test]
    fn no_response_divides_by_nothing() {
        let mut dead = measured(1, 0, Duration::from_micros(1));
        dead.tally = Tally { lost: 4, ..Tally::default() };
        let a = measured(0, 10, Duration::from_micros(1));
        let report =
            Report::new("refresh", vec!["a".to_owned(), "b".to_owned()], 1, true, &[a, dead]);
        assert!(report.ratios[0].throughput.is_none());
        assert!(report.results[1].cpu[0].cpu.unwrap().us_per_request.is_none());
        let table = report.table();
        assert!(table.contains("4 SESSIONS LOST") && table.contains("interrupted"));
    }

    #[test]
    fn programs_read_flat_results() {
        let report = Report::new(
            "refresh",
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
