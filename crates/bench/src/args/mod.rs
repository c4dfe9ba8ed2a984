//! The arguments of `keywright bench`, with their bounds.

mod baseline;
mod database;
mod enumeration;
mod load;
mod mix;
mod population;
mod refresh;
mod sign_in;
mod values;

use clap::{Args, Subcommand};

pub use self::baseline::BaselineArgs;
pub use self::database::DatabaseArgs;
pub use self::enumeration::EnumerationArgs;
pub use self::load::{LoadArgs, Setup};
pub use self::mix::{MIX_POPULATION, MixArgs};
pub use self::population::{Origin, PopulationArgs};
pub use self::refresh::RefreshArgs;
pub use self::sign_in::{AccountArgs, SignInArgs, SignInKind, SignUpArgs, SignUpKind};

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
    /// The same with sign-ups.
    SignUp(Box<SignUpArgs>),
    /// The same with sign-ins.
    SignIn(Box<SignInArgs>),
    /// A day in miniature: 80 % refreshes spread over many sessions, 12 % reads of the user, 4 %
    /// sign-ins, 2 % sign-ups, 2 % verifications, at a rate that does not depend on responses.
    Mix(Box<MixArgs>),
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
        assert_eq!(args.load.pids[0], "a=1".parse().unwrap());
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
    fn arguments_of_populations_and_mixes_have_bounds() {
        assert!(refused(&["bench", "refresh", "--population", "0"]).contains("population"));
        assert!(refused(&["bench", "refresh", "--population", "10000001"]).contains("population"));
        assert!(refused(&["bench", "refresh", "--keep-population"]).contains("population-file"));
        assert!(refused(&["bench", "refresh", "--cold-wait", "5"]).contains("--cold"));
        let rows = ["bench", "refresh", "--population", "5", "--rows", "5", "--database-url", "x"];
        assert!(refused(&rows).contains("cannot be used with"));
        assert!(refused(&["bench", "mix"]).contains("--rate"));
        assert!(refused(&["bench", "mix", "--rate", "0"]).contains("between"));
        assert!(refused(&["bench", "mix", "--rate", "1e9"]).contains("between"));
        assert!(refused(&["bench", "sign-in", "--kind", "guess"]).contains("possible values"));
        assert!(refused(&["bench", "sign-in", "--accounts", "0"]).contains("accounts"));
        let against = ["bench", "sign-up", "--against-database-url", "postgres://x"];
        assert!(refused(&against).contains("--against"));
    }

    #[test]
    fn a_mix_has_one_number_of_connections_unless_told_otherwise() {
        let matches = command().try_get_matches_from(["bench", "mix", "--rate", "5"]).unwrap();
        let (_, mix) = matches.subcommand().unwrap();
        let args = <MixArgs as clap::FromArgMatches>::from_arg_matches(mix).unwrap();
        assert_eq!((args.load.sessions, args.rate), (vec![64], vec![5.0]));
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
