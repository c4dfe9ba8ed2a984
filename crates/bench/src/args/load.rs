//! Arguments of a closed loop.

use std::time::Duration;

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use url::Url;

use super::values::{MAX_SESSIONS, email_prefix, measured_time, secret, warm_up_time};
use crate::watched::NamedProcess;

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

/// Arguments of every closed loop.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// Base address of the server, with its prefix if it has one (plain HTTP).
    #[arg(long, default_value = "http://127.0.0.1:4000")]
    pub url: Url,
    /// More nodes of the first server: each connection sends its requests to one node after the
    /// other, as a balancer that goes round would.
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    pub nodes: Vec<Url>,
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
    /// `postgres=456`; repeatable. `server=:4000` is whoever listens on that port when the
    /// measurement begins.
    #[arg(long = "pid", value_name = "NAME=PID")]
    pub pids: Vec<NamedProcess>,
    /// A process of the second server; repeatable.
    #[arg(long = "against-pid", value_name = "NAME=PID", requires = "against")]
    pub against_pids: Vec<NamedProcess>,
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
