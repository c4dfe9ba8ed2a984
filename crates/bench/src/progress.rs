//! Progress of a run: a bar on a terminal, now and then a line elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A progress bar on standard error; nothing is drawn where that is not a terminal.
pub fn bar(length: u64, text: &str) -> ProgressBar {
    let template = format!("{{bar:40}} {text}");
    let style = ProgressStyle::with_template(&template).expect("a valid constant template");
    ProgressBar::new(length).with_style(style)
}

/// Progress of what may take minutes.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    what: &'static str,
    note: fn(&str),
    begun: Instant,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Nothing of `length` things is done.
    pub fn new(length: u64, what: &'static str, note: fn(&str)) -> Self {
        let bar = bar(length, &format!("{what} {{pos}}/{{len}}, {{per_sec}}, {{eta}} left"));
        let begun = Instant::now();
        Self { bar, what, note, begun, last_line: Mutex::new(begun) }
    }

    /// So many more are done.
    pub fn add(&self, count: u64) {
        self.bar.inc(count);
        let mut last_line = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bar.is_hidden() && last_line.elapsed() >= LINE_EVERY {
            *last_line = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let rate = u128::from(done) * 1_000 / self.begun.elapsed().as_millis().max(1);
            (self.note)(&format!("{}: {done} of {all}, {rate}/s", self.what));
        }
    }

    /// Nothing is drawn any more.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
