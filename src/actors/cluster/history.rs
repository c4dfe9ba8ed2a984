//! The last ten minutes of a node, a sample a second, in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Seconds that are kept.
const KEPT: usize = 600;

/// One second of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since 1970.
    pub at: i64,
    pub refreshes: f64,
    pub refresh_p99_s: Option<f64>,
    pub batch_size: Option<f64>,
    pub restarts: f64,
    pub hashes_waiting: f64,
}

/// Samples, column by column, as they are plotted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryReport {
    /// Seconds since 1970.
    pub at: Vec<i64>,
    pub refreshes_per_s: Vec<f64>,
    pub refresh_p99_s: Vec<Option<f64>>,
    pub batch_size: Vec<Option<f64>>,
    pub restarts: Vec<f64>,
    pub hashes_waiting: Vec<f64>,
}

/// The newest samples.
#[derive(Debug, Default)]
pub struct History(Mutex<VecDeque<Sample>>);

impl History {
    /// One more second; the oldest goes.
    pub fn push(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// Those after this time.
    pub fn after(&self, at: i64) -> HistoryReport {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = HistoryReport::default();
        for sample in samples.iter().filter(|sample| sample.at > at) {
            report.at.push(sample.at);
            report.refreshes_per_s.push(sample.refreshes);
            report.refresh_p99_s.push(sample.refresh_p99_s);
            report.batch_size.push(sample.batch_size);
            report.restarts.push(sample.restarts);
            report.hashes_waiting.push(sample.hashes_waiting);
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_are_kept_and_told_from_a_time_on() {
        let history = History::default();
        for at in 0..1_000 {
            history.push(Sample { at, ..Sample::default() });
        }
        let all = history.after(0);
        assert_eq!((all.at.len(), all.at[0], all.at[599]), (600, 400, 999));
        assert_eq!(history.after(997).at, [998, 999]);
        assert_eq!(history.after(997).batch_size, [None, None]);
        assert_eq!(history.after(999), HistoryReport::default());
    }
}
