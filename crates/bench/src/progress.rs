//! Progress bars of a run.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on standard error; nothing is drawn where that is not a terminal.
pub fn bar(length: u64, text: &str) -> ProgressBar {
    let template = format!("{{bar:40}} {text}");
    let style = ProgressStyle::with_template(&template).expect("a valid constant template");
    ProgressBar::new(length).with_style(style)
}
