//! What was seen of each fault, as a table.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::fleet::REQUEST_TIMEOUT;
use crate::support::soak;

/// Longer than a request may take: a busy machine is not the server's fault.
const LONGEST_ANSWER: Duration = Duration::from_secs(3).saturating_add(REQUEST_TIMEOUT);
/// Longest recovery, once the fault is over.
pub(super) const LONGEST_RECOVERY: Duration = Duration::from_secs(10);
/// Most memory of a node, with caches that are far from full.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// One fault.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) fault: String,
    /// Whether requests must have been hit, or else there was no fault.
    pub(super) must_be_felt: bool,
    pub(super) duration: Duration,
    pub(super) requests: usize,
    pub(super) served: usize,
    /// 503 with `Retry-After`.
    pub(super) shed: usize,
    /// Connections that were refused or ended before a response.
    pub(super) unanswered: usize,
    pub(super) slowest: Duration,
    /// `None`: it did not recover.
    pub(super) recovery: Option<Duration>,
    pub(super) memory: u64,
    /// The longest time for which somebody else's change was not noticed.
    pub(super) staleness: Duration,
    pub(super) sessions: usize,
    pub(super) sign_ups: usize,
    /// What must not be, in words.
    pub(super) violations: Vec<String>,
}

impl Row {
    /// Fails the test for everything that the fault must not cause.
    pub(super) fn assert_endured(&self) {
        let fault = &self.fault;
        let few: Vec<_> = self.violations.iter().take(10).collect();
        assert!(few.is_empty(), "{fault}: {} violations: {few:#?}", self.violations.len());
        assert!(self.slowest < LONGEST_ANSWER, "{fault}: a response took {:?}", self.slowest);
        assert!(self.recovery.is_some(), "{fault}: no recovery within {LONGEST_RECOVERY:?}");
        assert!(self.memory < MOST_MEMORY, "{fault}: {} bytes of memory", self.memory);
        let is_felt = self.shed + self.unanswered > 0;
        assert!(is_felt || !self.must_be_felt, "{fault}: nobody noticed");
        assert!(self.served > 0 && self.sessions > 0 && self.sign_ups > 0, "{self:?}");
    }
}

/// Rows as they come.
pub(super) struct Table {
    title: &'static str,
    text: String,
}

impl Table {
    pub(super) fn new(title: &'static str) -> Self {
        let heads = [
            "fault",
            "duration",
            "requests",
            "served",
            "503",
            "no response",
            "slowest response",
            "recovery",
            "change noticed after",
            "memory",
            "sessions",
            "sign-ups",
            "lost or wrong",
        ];
        let mut text = format!("| {} |\n|", heads.join(" | "));
        for _ in heads {
            text.push_str("---|");
        }
        Self { title, text: text + "\n" }
    }

    /// Shows the row, and keeps the table so far in a soak.
    #[expect(clippy::print_stderr, reason = "progress of `make soak`")]
    pub(super) fn add(&mut self, row: &Row) {
        let line = format!(
            "| {} | {:.1} s | {} | {} | {} | {} | {} ms | {} | {} ms | {} MiB | {} | {} | {} |",
            row.fault,
            row.duration.as_secs_f64(),
            row.requests,
            row.served,
            row.shed,
            row.unanswered,
            row.slowest.as_millis(),
            row.recovery.map_or("never".to_owned(), |time| format!("{} ms", time.as_millis())),
            row.staleness.as_millis(),
            row.memory / (1024 * 1024),
            row.sessions,
            row.sign_ups,
            row.violations.len(),
        );
        if self.text.lines().count() == 2 {
            eprint!("{}", self.text);
        }
        eprintln!("{line}");
        let _ = writeln!(self.text, "{line}");
        if soak::duration().is_some() {
            let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/soak");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{}.md", self.title)), &self.text).unwrap();
        }
    }
}
