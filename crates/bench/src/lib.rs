//! The load harness behind `keywright bench`: how fast a server handles its hot operations, how fast
//! this machine could, and what the time of a response reveals.
//!
//! It knows the server by its HTTP contract only. Some commands also use a database: it is filled with
//! rows (`--rows`) or with sessions (`--population`), or says what a request took (`--database-url`);
//! the batched UPDATE makes a table of its own.

pub mod args;
pub mod baseline;
pub mod calls;
pub mod client;
pub mod commands;
pub mod control;
pub mod cpu;
pub mod database;
pub mod database_counters;
pub mod enumeration;
pub mod load;
pub mod population;
pub mod populations;
pub mod profile;
pub mod progress;
pub mod report;
pub mod restart;
pub mod results;
pub mod rows;
pub mod run;
pub mod scan;
pub mod session_rows;
pub mod sessions;
pub mod sign_in_burst;
pub mod sign_in_method;
pub mod signing;
pub mod target;
pub mod update_bench;
pub mod watched;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};
use clap::Args as _;
use serde::Serialize;
use tokio::task::{AbortHandle, JoinSet};

pub use self::args::BenchArgs;
use self::args::{BenchCommand, DatabaseArgs, LoadArgs, Operation};
use self::commands::closed::closed;
use self::commands::mix::mix;
use self::commands::refresh::refresh;
use self::commands::sign_in::sign_in;
use self::commands::sign_up::sign_up;
use self::control::Control;
use self::report::Report;

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
    BenchArgs::augment_args(clap::Command::new("bench").about(about)).mut_subcommand("mix", |mix| {
        // An open loop is measured at rates, which take the place of numbers of sessions.
        mix.mut_arg("sessions", |sessions| {
            sessions
                .default_value("64")
                .help("Connections at once; several counts are run one by one")
        })
    })
}

/// Does what the command line says and prints the results.
///
/// Ctrl-C ends the run with the results so far, a second one ends the process. Lost sessions make
/// it an error, after the results.
pub async fn run(args: BenchArgs, output: Output) -> anyhow::Result<()> {
    if let Some(warning) = profile::own_warning() {
        (output.note)(warning);
    }
    let control = Control::new(output.note);
    let stop = Arc::clone(&control.stop);
    let mut watcher = JoinSet::new();
    watch_interrupts(&mut watcher, Arc::clone(&stop), output);
    let no_database = DatabaseArgs::default();
    match args.what {
        BenchCommand::Refresh(args) => {
            output.load(&args.load, &refresh(&args, &control).await?)?;
        }
        BenchCommand::Verify(args) => {
            let report = closed(&args, &no_database, Operation::Verify, &control).await?;
            output.load(&args, &report)?;
        }
        BenchCommand::User(args) => {
            let report = closed(&args, &no_database, Operation::User, &control).await?;
            output.load(&args, &report)?;
        }
        BenchCommand::SignUp(args) => {
            output.load(&args.load, &sign_up(&args, &control).await?)?;
        }
        BenchCommand::SignIn(args) => {
            output.load(&args.load, &sign_in(&args, &control).await?)?;
        }
        BenchCommand::Mix(args) => {
            output.load(&args.load, &mix(&args, &control).await?)?;
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
    /// Prints the results of a load; lost sessions are an error after that.
    fn load(self, args: &LoadArgs, report: &Report) -> anyhow::Result<()> {
        self.emit(args.json.as_deref(), &report.table(), report)?;
        let lost = report.lost_sessions();
        ensure!(lost == 0, "{lost} sessions were lost");
        Ok(())
    }

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
