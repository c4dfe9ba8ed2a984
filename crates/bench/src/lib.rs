//! The load harness behind `keywright bench`: how fast a server handles its hot operations, how fast
//! this machine could, and what the time of a response reveals.
//!
//! It knows the server by its HTTP contract only. Two commands also use a database: `refresh --rows`
//! fills `auth.refresh_tokens`, and the batched UPDATE makes a table of its own.

pub mod args;
pub mod baseline;
pub mod client;
pub mod cpu;
pub mod database;
pub mod enumeration;
pub mod load;
pub mod profile;
pub mod progress;
pub mod report;
pub mod results;
pub mod run;
pub mod scan;
pub mod session_rows;
pub mod sessions;
pub mod sign_in_burst;
pub mod signing;
pub mod target;
pub mod update_bench;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use clap::Args as _;
use serde::Serialize;
use tokio::task::{AbortHandle, JoinSet};

pub use self::args::BenchArgs;
use self::args::{BenchCommand, Operation};
use self::load::{load, refresh};

/// Where the command writes: the terminal belongs to the program around it.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Writes lines to standard output: what was asked for.
    pub line: fn(&str),
    /// Writes lines to standard error: notes, so that the output stays clean.
    pub note: fn(&str),
}

/// The command with its arguments, for the program's command line.
pub fn command() -> clap::Command {
    let about = "Measure a server's hot operations, or this machine's raw limits";
    BenchArgs::augment_args(clap::Command::new("bench").about(about))
}

/// Does what the command line says and prints the results.
///
/// Ctrl-C ends the run with the results so far, a second one ends the process. Lost sessions make
/// it an error, after the results.
pub async fn run(args: BenchArgs, output: Output) -> anyhow::Result<()> {
    if let Some(warning) = profile::own_warning() {
        (output.note)(warning);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut watcher = JoinSet::new();
    watch_interrupts(&mut watcher, Arc::clone(&stop), output);
    match args.what {
        BenchCommand::Refresh(args) => {
            let report = refresh(&args, stop).await?;
            output.emit(args.load.json.as_deref(), &report.table(), &report)?;
            let lost = report.lost_sessions();
            ensure!(lost == 0, "{lost} sessions were lost");
        }
        BenchCommand::Verify(args) => {
            let report = load(&args, Operation::Verify, &stop).await?;
            output.emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::User(args) => {
            let report = load(&args, Operation::User, &stop).await?;
            output.emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::Enumeration(args) => {
            let report = enumeration::enumeration(&args, &stop).await?;
            output.emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::Baseline(args) => {
            let report = baseline::baseline(&args, stop).await?;
            output.emit(args.json.as_deref(), &report.table(), &report)?;
        }
    }
    Ok(())
}

fn watch_interrupts(tasks: &mut JoinSet<()>, stop: Arc<AtomicBool>, output: Output) -> AbortHandle {
    tasks.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            (output.note)("ending after the responses under way; once more ends at once");
        }
    })
}

impl Output {
    /// Prints the table and writes the JSON; with JSON on standard output the table
    /// moves to standard error.
    fn emit(
        self,
        json: Option<&str>,
        table: &str,
        report: &(impl Serialize + Sync),
    ) -> anyhow::Result<()> {
        let Some(path) = json else {
            (self.line)(table);
            return Ok(());
        };
        let text = serde_json::to_string_pretty(report).context("results as JSON")?;
        if path == "-" {
            (self.note)(table);
            (self.line)(&text);
        } else {
            (self.line)(table);
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {path}"))?;
        }
        Ok(())
    }
}
