//! Results as rows of a table, and what is said below it.

use std::fmt::Write as _;

use crate::database_counters::StatementSource;
use crate::results::{Cpu, DatabaseWork, Latency, LoadResult, PopulationUse, UpdatedRows};

impl LoadResult {
    /// The row of the whole, and below it one for each part.
    pub fn write_rows(&self, text: &mut String) {
        let errors: u64 = self.errors.values().sum::<u64>() + self.not_started;
        let whole = Cells {
            label: &self.sessions.to_string(),
            per_second: self.per_second,
            latency: &self.latency_ms,
            lost: self.lost_sessions,
            errors,
        };
        let _ = writeln!(text, "{:<2}{}  {}", self.server, whole.text(), self.remarks());
        for part in &self.parts {
            let cells = Cells {
                label: part.name,
                per_second: part.per_second,
                latency: &part.latency_ms,
                lost: part.lost_sessions,
                errors: part.errors.values().sum::<u64>() + part.not_started,
            };
            let _ = writeln!(text, "  {}", cells.text());
        }
    }

    /// What went wrong, a line each.
    pub fn write_remarks(&self, text: &mut String) {
        let at = format!(
            "{} at {} sessions{}",
            self.server,
            self.sessions,
            rate_text(self.target_per_second)
        );
        for (kind, count) in &self.errors {
            let _ = writeln!(text, "{at}: {count} x {kind}");
        }
        if self.not_started > 0 {
            let count = self.not_started;
            let _ = writeln!(text, "{at}: {count} requests found no free connection in time");
        }
        if self.target_reached == Some(false) {
            let _ = writeln!(text, "{at}: TARGET NOT REACHED, {:.0}/s were", self.per_second);
        }
        if self.given_up_sessions > 0 {
            let given_up = self.given_up_sessions;
            let _ = writeln!(text, "{at}: {given_up} sessions given up after refusals in a row");
        }
    }

    /// CPU times and remarks, for the end of a row.
    fn remarks(&self) -> String {
        let show = |name: &str, cpu: Option<Cpu>| match cpu {
            Some(Cpu { us_per_request: Some(us), cores }) => format!("{name} {us:.1} ({cores:.2})"),
            Some(Cpu { us_per_request: None, cores }) => format!("{name} n/a ({cores:.2})"),
            None => format!("{name} n/a"),
        };
        let mut parts = vec![show("client", self.client_cpu)];
        parts.extend(self.cpu.iter().map(|named| show(&named.name, named.cpu)));
        parts.extend(self.of_bare.map(|ratio| format!("{ratio:.2} of bare HTTP")));
        parts.extend(self.rows.map(|rows| format!("{rows} rows")));
        parts.extend(self.target_per_second.map(|rate| format!("of {rate:.0}/s asked for")));
        parts.extend(self.population.map(|PopulationUse { sessions, times_around }| {
            format!("{times_around:.2} times around {sessions} sessions")
        }));
        parts.extend(self.database.map(|work| work.text()));
        parts.extend(self.sign_ins_per_second.map(|rate| format!("{rate:.0} sign-ins/s")));
        parts.extend(self.sign_ins_alone_per_second.map(|rate| format!("{rate:.0} alone")));
        parts.join(", ")
    }
}

/// What the columns of a row hold.
struct Cells<'a> {
    label: &'a str,
    per_second: f64,
    latency: &'a Latency,
    lost: u64,
    errors: u64,
}

impl Cells<'_> {
    fn text(&self) -> String {
        let Self { label, per_second, latency, lost, errors } = self;
        let Latency { p50, p90, p99, p999, max, .. } = latency;
        format!(
            "{label:>9}{per_second:>11.0}{p50:>9.3}{p90:>9.3}{p99:>9.3}{p999:>9.3}{max:>9.2}\
             {lost:>7}{errors:>8}"
        )
    }
}

impl DatabaseWork {
    /// For the end of a row.
    fn text(&self) -> String {
        let show = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "n/a".to_owned(), |value| format!("{value:.digits$}"))
        };
        let hot = |name, rows: UpdatedRows| {
            rows.hot_share.map(|share| format!(", {:.0} % of updated {name} HOT", share * 100.0))
        };
        format!(
            "WAL {} B, {} {}{}{}",
            show(self.wal_bytes_per_request, 0),
            show(self.statements_per_request, 2),
            if self.statements_from == StatementSource::Statements.name() {
                "statements"
            } else {
                "transactions"
            },
            hot("tokens", self.refresh_tokens).unwrap_or_default(),
            hot("users", self.users).unwrap_or_default()
        )
    }
}

/// The rate that was asked for, behind the number of sessions.
pub fn rate_text(target: Option<f64>) -> String {
    target.map_or_else(String::new, |rate| format!(" and {rate:.0}/s"))
}
