//! Arguments of `keywright bench enumeration`.

use std::time::Duration;

use clap::Args;
use url::Url;

use super::values::pause;

/// `keywright bench enumeration`.
#[derive(Clone, Debug, Args)]
pub struct EnumerationArgs {
    /// Base address of the server, with its prefix if it has one (plain HTTP).
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    pub url: Url,
    /// An address that has an account, with a password and verified.
    #[arg(long)]
    pub known: String,
    /// Requests of each operation for the known address, and as many for unknown ones.
    #[arg(long, default_value = "400", value_parser = clap::value_parser!(u32).range(20..=20_000))]
    pub requests: u32,
    /// Time between two requests, in which the server finishes what the first has left to do.
    #[arg(long, default_value = "0.03", value_name = "S", value_parser = pause)]
    pub pause: Duration,
    /// Writes the results as JSON to this file; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// Permits addresses other than this machine's own.
    #[arg(long)]
    pub allow_remote: bool,
}
