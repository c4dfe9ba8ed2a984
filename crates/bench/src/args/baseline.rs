//! Arguments of `keywright bench baseline`.

use std::time::Duration;

use clap::Args;
use secrecy::SecretString;

use super::values::{MAX_SESSIONS, measured_time, secret};

/// `keywright bench baseline`.
#[derive(Clone, Debug, Args)]
pub struct BaselineArgs {
    /// Sessions at once for the bare HTTP response.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u64).range(1..=MAX_SESSIONS))]
    pub sessions: Vec<u64>,
    /// Time of each single measurement.
    #[arg(long, default_value = "2", value_name = "S", value_parser = measured_time)]
    pub seconds: Duration,
    /// Threads of the load generator; by default one for every four cores.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// Postgres for the batched UPDATE; a schema `keywright_bench_floor` is made and dropped there.
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub database_url: Option<SecretString>,
    /// Rows of one UPDATE.
    #[arg(long, value_delimiter = ',', default_value = "1,64,128,256",
          value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub rows: Vec<u64>,
    /// Writes the results as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// Permits a database on another machine.
    #[arg(long)]
    pub allow_remote: bool,
}
