//! The arguments of `keywright bench`, with their bounds.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::SecretString;
use url::Url;

use crate::cpu::WatchedProcess;

/// Most sessions of one measurement; each is a connection, so a file descriptor on both ends.
const MAX_SESSIONS: u64 = 16_384;
/// Longest measurement of one session count.
const MAX_SECONDS: f64 = 3_600.0;

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

/// How the sessions of a run come to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Setup {
    /// The first of the other three that works.
    #[default]
    Auto,
    /// `POST /signin/anonymous`.
    Anonymous,
    /// `POST /signup/email-password` with made-up addresses.
    SignUp,
    /// `POST /signin/email-password` with `--email` and `--password`.
    SignIn,
}

/// `keywright bench refresh`.
#[derive(Clone, Debug, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// Measures once more while this many connections sign in with a password, one sign-in after
    /// the other; before that, the rate of these sign-ins alone.
    #[arg(long, visible_alias = "storm", value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub sign_in_burst: Option<u16>,
    /// Measures with `auth.refresh_tokens` filled up to this many rows, in ascending order; what was
    /// added is removed at the end.
    #[arg(long, value_delimiter = ',', value_name = "N", requires = "database_url",
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rows: Vec<u64>,
    /// Database of the server, for `--rows`.
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub database_url: Option<SecretString>,
}

/// Arguments of every closed loop.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Base address of the server, with its prefix if it has one (plain HTTP).
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    pub url: Url,
    /// A second server, measured alternately with the first in the same run.
    #[arg(long, value_name = "URL")]
    pub against: Option<Url>,
    /// Sessions at once, each with a connection of its own; several counts are run one by one.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u64).range(1..=MAX_SESSIONS))]
    pub sessions: Vec<u64>,
    /// Measured time of each session count and server; fractions are allowed.
    #[arg(long, default_value = "10", value_name = "S", value_parser = measured_time)]
    pub seconds: Duration,
    /// Unmeasured time before each session count and server.
    #[arg(long, default_value = "1", value_name = "S", value_parser = warm_up_time)]
    pub warmup: Duration,
    /// Longest wait for one response.
    #[arg(long, default_value = "5", value_name = "S", value_parser = measured_time)]
    pub timeout: Duration,
    /// Threads of the load generator; by default one for every four cores.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// A process of the first server, with its children but for those named too: `server=123`,
    /// `postgres=456`; repeatable.
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub pids: Vec<WatchedProcess>,
    /// A process of the second server; repeatable.
    #[arg(long = "against-pid", value_name = "NAME=PID", requires = "against")]
    pub against_pids: Vec<WatchedProcess>,
    /// Measures a bare HTTP server at the same session counts too, for the ratio to it.
    #[arg(long, visible_alias = "floor")]
    pub baseline: bool,
    /// How sessions are made.
    #[arg(long, value_enum, default_value_t)]
    pub setup: Setup,
    /// Start of the made-up addresses of `--setup sign-up`.
    #[arg(long, default_value = "keywright-bench-", value_parser = email_prefix)]
    pub email_prefix: String,
    /// An existing account, for servers where neither anonymous sign-in nor sign-up gives a session.
    #[arg(long, requires = "password")]
    pub email: Option<String>,
    /// Password of `--email`.
    #[arg(long, requires = "email", value_parser = secret)]
    pub password: Option<SecretString>,
    /// Writes the results as JSON to this file; `-` is standard output (the table then moves to
    /// standard error).
    #[arg(long, value_name = "FILE")]
    pub json: Option<String>,
    /// Permits addresses other than this machine's own.
    #[arg(long)]
    pub allow_remote: bool,
}

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

/// Threads of the load generator: as given, else a quarter of the cores, so that the server under
/// measurement keeps the rest.
pub fn load_threads(given: Option<u16>) -> usize {
    given.map_or_else(|| (cores() / 4).clamp(1, 16), usize::from)
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn measured_time(text: &str) -> Result<Duration, String> {
    duration(text, 0.05, MAX_SECONDS)
}

fn pause(text: &str) -> Result<Duration, String> {
    duration(text, 0.001, 10.0)
}

fn warm_up_time(text: &str) -> Result<Duration, String> {
    duration(text, 0.0, 600.0)
}

fn duration(text: &str, min: f64, max: f64) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (min..=max).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("not between {min} and {max} seconds"))
    }
}

fn email_prefix(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "+-_".contains(c);
    if text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(good)
    {
        Ok(text.to_owned())
    } else {
        Err("at most 24 letters, digits, '+', '-', '_', and a letter or digit first".to_owned())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap requires")]
fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
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
