//! A node in a process of the test binary, whose actors panic and whose clock jumps on command.

use std::io::BufRead as _;
use std::process::Stdio;
use std::sync::Arc;

use keywright::app::App;
use keywright::cli::serve::run_node;
use keywright::cli::signals::Signals;
use keywright::config::{Config, Sources};
use keywright::domain::clock::Clock;
use keywright::node::Node;
use keywright::telemetry;
use time::Duration;
use tokio::process::Command;

use crate::support::app::settings;
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;

const CHILD: &str = "endurance::puppet::a_node_on_strings";
/// Set in the process of a puppet; without it the test below does nothing.
const IS_PUPPET: &str = "KEYWRIGHT_TEST_PUPPET";

/// A command for a puppet, one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Every actor panics.
    Panic,
    /// The clock goes so many seconds forward, or back.
    Clock(i64),
}

impl Order {
    pub(super) fn line(self) -> String {
        match self {
            Self::Panic => "panic\n".to_owned(),
            Self::Clock(seconds) => format!("clock {seconds}\n"),
        }
    }

    fn parse(line: &str) -> Self {
        match line.split_once(' ') {
            None => Self::Panic,
            Some((_, seconds)) => Self::Clock(seconds.parse().unwrap()),
        }
    }
}

/// Returns once it serves.
pub(super) async fn start(database: &TestDatabase, more: &[(&str, &str)]) -> ServerProcess {
    let (url, patient) = (database.url(), [PATIENT, more].concat());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env_clear()
        .envs(settings(&url, &patient))
        .env(IS_PUPPET, "yes")
        .stdin(Stdio::piped())
        // It tells of every panic, which it is told to do.
        .stderr(Stdio::null());
    ServerProcess::spawn(command, |line| line["msg"] == RESTART).await
}

/// How a supervisor reports the restart of an actor.
const RESTART: &str = "actor ended, restarting it";

/// What panics.
pub(super) const ACTORS: &[&str] = &[
    "session_registry/shard-0",
    "key_rotator",
    "change_feed",
    "claims_reader",
    "password_hasher",
    "challenge_store",
    "courier",
    "housekeeping",
    "rate_limiter",
];

/// Actors may panic as often as they are told.
const PATIENT: &[(&str, &str)] =
    &[("AUTH_ACTOR_MAX_RESTARTS", "1000000"), ("AUTH_ACTOR_BACKOFF_MAX", "20ms")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process of a puppet"]
#[expect(clippy::print_stdout, reason = "whoever started it waits for this line")]
async fn a_node_on_strings() {
    if std::env::var_os(IS_PUPPET).is_none() {
        return;
    }
    let sources = Sources::from_env(std::env::vars());
    let config = Config::from_sources(&sources).unwrap().config;
    let _logs = telemetry::init(&config.log, &config.traces).unwrap();
    let (clock, signals) = (Clock::system(), Signals::listen().unwrap());
    let node = Box::pin(Node::start(config, clock.clone())).await.unwrap();
    let app = Arc::clone(node.app());
    println!("\n{}", serde_json::json!({"msg": "serving", "address": node.address()}));
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match Order::parse(&line.unwrap()) {
                Order::Panic => panic_all(&app),
                Order::Clock(seconds) => clock.go_wrong(Duration::seconds(seconds)),
            }
        }
    });
    let _ = run_node(node, signals).await;
}

fn panic_all(app: &App) {
    for shard in app.actors.sessions.shards() {
        shard.crash();
    }
    app.actors.key_rotator.crash();
    app.actors.change_feed.crash();
    app.actors.claims_reader.crash();
    app.actors.passwords.crash();
    app.actors.challenges.actor().crash();
    app.actors.courier.crash();
    app.actors.housekeeping.actor().crash();
    app.actors.rate_limiter.crash();
}
