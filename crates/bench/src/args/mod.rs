//! The arguments of `keywright bench`, with their bounds.

mod baseline;
mod enumeration;
mod load;
mod refresh;
mod values;

use clap::{Args, Subcommand};

pub use self::baseline::BaselineArgs;
pub use self::enumeration::EnumerationArgs;
pub use self::load::{LoadArgs, Setup};
pub use self::refresh::RefreshArgs;

/// Measures a server, or this machine.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub what: BenchCommand,
}

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Closed-loop load of `POST /token` on any server with this contract.
    Refresh(Box<RefreshArgs>),
    /// The same with `POST /token/verify`.
    Verify(Box<LoadArgs>),
    /// The same with `GET /user`.
    User(Box<LoadArgs>),
    /// Whether the time of a response reveals that an address is known.
    Enumeration(Box<EnumerationArgs>),
    /// Raw limits of this machine: a bare HTTP response, one signature, one batched UPDATE.
    #[command(visible_alias = "floor")]
    Baseline(Box<BaselineArgs>),
}

/// The request that a closed loop repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `POST /token`.
    Refresh,
    /// `POST /token/verify`.
    Verify,
    /// `GET /user`.
    User,
}

impl Operation {
    /// The name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Verify => "verify",
            Self::User => "user",
        }
    }
}

/// Threads of the load generator: as given, else a quarter of the cores, so that the server under
/// measurement keeps the rest.
pub fn load_threads(given: Option<u16>) -> usize {
    given.map_or_else(|| (cores() / 4).clamp(1, 16), usize::from)
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::command;

    fn refused(args: &[&str]) -> String {
        command().try_get_matches_from(args).unwrap_err().to_string()
    }

    #[test]
    fn sessions_take_a_list_and_seconds_take_fractions() {
        let line = ["bench", "refresh", "--sessions", "1,64", "--seconds", "0.25", "--pid", "a=1"];
        let matches = command().try_get_matches_from(line).unwrap();
        let (_, refresh) = matches.subcommand().unwrap();
        let args = <RefreshArgs as clap::FromArgMatches>::from_arg_matches(refresh).unwrap();
        assert_eq!(args.load.sessions, [1, 64]);
        assert_eq!(args.load.seconds, Duration::from_millis(250));
        assert_eq!(args.load.pids[0].pid, 1);
    }

    #[test]
    fn former_names_still_work() {
        let line = ["bench", "refresh", "--floor", "--storm", "8"];
        let matches = command().try_get_matches_from(line).unwrap();
        let (_, refresh) = matches.subcommand().unwrap();
        let args = <RefreshArgs as clap::FromArgMatches>::from_arg_matches(refresh).unwrap();
        assert!(args.load.baseline);
        assert_eq!(args.sign_in_burst, Some(8));
        let matches = command().try_get_matches_from(["bench", "floor"]).unwrap();
        assert_eq!(matches.subcommand_name(), Some("baseline"));
    }

    #[test]
    fn endless_and_empty_runs_are_refused() {
        assert!(refused(&["bench", "refresh", "--seconds", "1e9"]).contains("between"));
        assert!(refused(&["bench", "refresh", "--seconds", "NaN"]).contains("between"));
        assert!(refused(&["bench", "refresh", "--sessions", "0"]).contains("sessions"));
        assert!(refused(&["bench", "refresh", "--pid", "server"]).contains("NAME=PID"));
        assert!(refused(&["bench", "refresh", "--email", "a@b.c"]).contains("--password"));
        assert!(refused(&["bench", "refresh", "--email-prefix", "a@b"]).contains("letters"));
        assert!(refused(&["bench", "refresh", "--rows", "5"]).contains("--database-url"));
        assert!(refused(&["bench", "verify", "--storm", "5"]).contains("--storm"));
    }

    #[test]
    fn a_password_does_not_show_in_debug_output() {
        let line = ["bench", "refresh", "--email", "a@b.c", "--password", "hunter2-hunter2"];
        let matches = command().try_get_matches_from(line).unwrap();
        let (_, refresh) = matches.subcommand().unwrap();
        let args = <RefreshArgs as clap::FromArgMatches>::from_arg_matches(refresh).unwrap();
        assert!(!format!("{args:?}").contains("hunter2"));
    }
}
