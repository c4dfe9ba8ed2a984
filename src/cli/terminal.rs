//! The one way for commands to write on the terminal.
//!
//! Errors of writing are ignored: a closed pipe (`keywright … | head`) is no reason to fail or to
//! panic, which `println!` would do.

use std::io::Write as _;

/// Writes one line, or several, to standard output: what the command was asked for.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes one line, or several, to standard error: notes and errors, so that output stays clean.
pub fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
