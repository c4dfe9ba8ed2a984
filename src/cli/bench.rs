//! `keywright bench`: the load harness, which is a crate of its own.

use std::process::ExitCode;

use clap::{ArgMatches, FromArgMatches as _};
use keywright_bench::{BenchArgs, Output};

use crate::cli::terminal;

pub use keywright_bench::command;

/// Measures what the command line says.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let args = BenchArgs::from_arg_matches(matches)?;
    let output = Output { line: terminal::line, note: terminal::error };
    keywright_bench::run(args, output).await?;
    Ok(ExitCode::SUCCESS)
}
