//! Arguments for many sessions that take turns.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::cold_wait;

/// Most sessions of a population.
const MAX_POPULATION: u64 = 10_000_000;

/// Where the sessions of a population come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Origin {
    /// From the server, as `--setup` says; the users stay.
    Http,
    /// Written into `--database-url`, and removed at the end.
    Database,
}

/// Refreshes spread over a population.
#[derive(Clone, Debug, Args)]
pub struct PopulationArgs {
    /// Spreads refreshes over this many sessions in a scattered order: each is refreshed once before
    /// any is refreshed again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_POPULATION))]
    pub population: Option<u64>,
    /// How they are made; by default in the database if there is `--database-url`, else over HTTP.
    #[arg(long, value_enum)]
    pub population_from: Option<Origin>,
    /// Goes on with the population in this file if the file exists.
    #[arg(long, value_name = "FILE")]
    pub population_file: Option<PathBuf>,
    /// Leaves the sessions where they are at the end, and their tokens in `--population-file` for
    /// another run.
    #[arg(long, requires = "population_file")]
    pub keep_population: bool,
    /// Measures after a restart of the server, which is waited for, and without a warm-up.
    #[arg(long)]
    pub cold: bool,
    /// Longest wait for that restart.
    #[arg(long, default_value = "600", value_name = "S", requires = "cold", value_parser = cold_wait)]
    pub cold_wait: Duration,
}
