//! The commands of the `keywright` program, one module each.

pub mod actors;
pub mod admin_client;
pub mod bench;
pub mod cluster;
pub mod dev;
pub mod doctor;
pub mod keys;
pub mod migrate;
pub mod serve;
pub mod signals;
pub mod table;
pub mod terminal;
pub mod with_database;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};

use tokio::runtime::{Builder, Runtime};

use crate::config::{self, RuntimeConfig, Sources};

/// Polls between two looks at the sockets, where one worker does both.
///
/// Tokio's 61 would leave a reply of Postgres unseen while as many requests are worked on, and
/// Postgres idle for that long.
const LONE_WORKER_INTERVAL: u32 = 12;

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let matches = command().get_matches();
    let runtime = match runtime(&matches) {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::error(&format!("error: cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(&matches)) {
        Ok(code) => code,
        Err(error) => {
            terminal::error(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A server's threads are a setting; if it cannot be read, the command itself will say so.
fn runtime(matches: &ArgMatches) -> std::io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(("serve" | "dev", matches)) = matches.subcommand()
        && let Ok(sources) = Sources::from_process(matches)
        && let Ok(config) = RuntimeConfig::from_sources(&sources)
    {
        builder.worker_threads(config.worker_threads);
        if config.worker_threads == 1 {
            builder.event_interval(LONE_WORKER_INTERVAL);
        }
    }
    builder.enable_all().build()
}

async fn dispatch(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("serve", matches)) => Box::pin(serve::run(matches)).await,
        Some(("dev", matches)) => Box::pin(dev::run(matches)).await,
        Some(("migrate", matches)) => migrate::run(matches).await,
        Some(("doctor", matches)) => doctor::run(matches).await,
        Some(("actors", matches)) => actors::run(matches).await,
        Some(("cluster", matches)) => cluster::run(matches).await,
        Some(("keys", matches)) => keys::run(matches).await,
        Some(("bench", matches)) => bench::run(matches).await,
        Some(("with-database", matches)) => with_database::run(matches).await,
        _ => unreachable!("clap insists on a subcommand"),
    }
}

/// What `--version` prints: whoever reports a failure or a figure says with it what was built, and how.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (profile ",
    env!("KEYWRIGHT_PROFILE"),
    ", commit ",
    env!("KEYWRIGHT_COMMIT"),
    ", ",
    env!("KEYWRIGHT_COMMIT_DATE"),
    ")"
);

/// The command line.
pub fn command() -> Command {
    Command::new("keywright")
        .version(VERSION)
        .about("An authentication server that speaks the Nhost Auth contract")
        .after_help(
            "Every setting is a flag and an environment variable: `keywright serve --help`.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("serve")
                .about("Serve with the database of the configuration (production)")
                .args(config::arguments()),
        )
        .subcommand(
            Command::new("dev")
                .about("Serve with a private Postgres, a generated secret and captured mail")
                .arg(
                    Arg::new("dir")
                        .long("dir")
                        .help("Where the development server keeps everything")
                        .default_value(".keywright"),
                )
                .args(config::arguments()),
        )
        .subcommand(
            Command::new("migrate")
                .about("Create or adopt the database, then exit")
                .args(config::arguments()),
        )
        .subcommand(
            Command::new("doctor")
                .about("Check configuration, database, mail and keys, and print a table")
                .args(config::arguments()),
        )
        .subcommand(actors::command())
        .subcommand(cluster::command())
        .subcommand(keys::command())
        .subcommand(bench::command())
        .subcommand(
            Command::new("with-database")
                .about("Run a command with DATABASE_URL set to a migrated, throw-away database")
                .hide(true)
                .arg(Arg::new("command").num_args(1..).required(true).last(true)),
        )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
