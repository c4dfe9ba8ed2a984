//! `keywright bench`: how fast a server answers what is asked most, how fast this machine could, and what the
//! time of an answer tells.

pub mod args;
pub mod client;
pub mod cpu;
pub mod enumeration;
pub mod floor;
pub mod report;
pub mod run;
pub mod scan;
pub mod sessions;
pub mod signing;
pub mod storm;
pub mod target;
pub mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Args as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::task::{AbortHandle, JoinSet};

pub use self::args::BenchArgs;
use self::args::{BenchCommand, LoadArgs, RefreshArgs};
use self::cpu::{Processes, Watched};
use self::report::Report;
use self::run::{Operation, Plan, Side, measure};
use self::sessions::Accounts;
use self::storm::Storm;
use self::target::Target;
use crate::cli::terminal;
use crate::persistence::bench_sessions::SessionFiller;

/// Time of the bare server at one count, beside a run.
const FLOOR_TIME: Duration = Duration::from_secs(2);

/// The command with its arguments, for the program's command line.
pub fn command() -> clap::Command {
    let about = "Measure a server's hot operations, or this machine's raw limits";
    BenchArgs::augment_args(clap::Command::new("bench").about(about))
}

/// Does what the command line says and prints the figures.
///
/// Ctrl-C ends the run with the figures so far, a second one ends the process. Lost sessions make
/// it an error, after the figures.
pub async fn run(args: BenchArgs) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut watcher = JoinSet::new();
    watch_interrupts(&mut watcher, Arc::clone(&stop));
    match args.what {
        BenchCommand::Refresh(args) => {
            let report = refresh(&args, stop).await?;
            emit(args.load.json.as_deref(), &report.table(), &report)?;
            let lost = report.lost_sessions();
            ensure!(lost == 0, "{lost} sessions were lost");
        }
        BenchCommand::Verify(args) => {
            let report = load(&args, Operation::Verify, &stop).await?;
            emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::User(args) => {
            let report = load(&args, Operation::User, &stop).await?;
            emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::Enumeration(args) => {
            let report = enumeration::enumeration(&args, &stop).await?;
            emit(args.json.as_deref(), &report.table(), &report)?;
        }
        BenchCommand::Floor(args) => {
            let report = floor::floor(&args, stop).await?;
            emit(args.json.as_deref(), &report.table(), &report)?;
        }
    }
    Ok(())
}

/// Measures refreshes: with each number of rows, and then once more in a storm of sign-ins.
pub async fn refresh(args: &RefreshArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Report> {
    let Some(url) = &args.database_url else { return calm_and_storm(args, &stop).await };
    let options = floor::database(url, args.load.allow_remote).await?;
    let mut filler = SessionFiller::open(&options).await.context("--database-url")?;
    let mut all: Option<Report> = None;
    let mut sizes = args.rows.clone();
    sizes.sort_unstable();
    let work = async {
        for rows in sizes {
            filler.fill_up_to(rows).await.context("cannot fill auth.refresh_tokens")?;
            let mut report = calm_and_storm(args, &stop).await?;
            report.results.iter_mut().for_each(|figures| figures.rows = Some(rows));
            all = Some(Report::joined(all.take(), report));
        }
        anyhow::Ok(())
    };
    let ended = work.await;
    filler.close().await.context("cannot remove the rows that were added")?;
    ended?;
    all.context("--database-url is for --rows")
}

async fn calm_and_storm(args: &RefreshArgs, stop: &Arc<AtomicBool>) -> anyhow::Result<Report> {
    let calm = load(&args.load, Operation::Refresh, stop).await?;
    let Some(connections) = args.storm else { return Ok(calm) };
    let target = Arc::new(Target::resolve(&args.load.url, args.load.allow_remote).await?);
    let storm = Storm::start(&target, connections, &args.load).await?;
    let stormy = load(&args.load, Operation::Refresh, stop).await;
    let rate = storm.stop();
    let mut stormy = stormy?;
    stormy.results.iter_mut().for_each(|figures| figures.sign_ins_per_second = Some(rate));
    Ok(Report::joined(Some(calm), stormy))
}

/// Measures one server, or two in turns; `stop` ends it early.
async fn load(
    args: &LoadArgs,
    operation: Operation,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Report> {
    check_processes(args.pids.iter().chain(&args.against_pids))?;
    let counts =
        args.sessions.iter().map(|&count| usize::try_from(count)).collect::<Result<_, _>>();
    let mut counts: Vec<usize> = counts.context("a session count does not fit this machine")?;
    counts.dedup();
    ensure!(counts.len() <= 32, "at most 32 session counts in one run");
    let most = counts.iter().copied().max().context("no session count")?;
    let accounts = Accounts::from_args(args, operation)?;

    let mut targets = vec![(Target::resolve(&args.url, args.allow_remote).await?, &args.pids)];
    if let Some(url) = &args.against {
        targets.push((Target::resolve(url, args.allow_remote).await?, &args.against_pids));
    }
    let mut sides = Vec::new();
    for (target, watched) in targets {
        let target = Arc::new(target);
        let bar = bar(u64::try_from(most).unwrap_or(u64::MAX), "sessions {pos}/{len}");
        let tokens = accounts.open(&target, operation, most, stop, &bar).await;
        bar.finish_and_clear();
        let tokens = tokens?;
        if stop.load(Ordering::Relaxed) {
            bail!("interrupted before anything was measured");
        }
        sides.push(Side { target, tokens, watched: watched.clone() });
    }

    let lanes = args::lanes(args.threads);
    let (seconds, warmup, timeout) = (args.seconds, args.warmup, args.timeout);
    let plan = Plan { operation, counts, seconds, warmup, timeout, lanes };
    let servers = sides.iter().map(|side| side.target.url.clone()).collect();
    let (measured, interrupted) = measure_aside(plan, sides, Arc::clone(stop)).await?;
    let mut report = Report::new(operation, servers, lanes, interrupted, &measured);
    if args.floor && !interrupted {
        let bare = floor::bare_answers(&args.sessions, seconds.min(FLOOR_TIME), args.threads, stop);
        report.compare_to(&bare.await?);
    }
    Ok(report)
}

/// Runs the closed loop on a thread that may block; also says whether it was cut short.
async fn measure_aside(
    plan: Plan,
    sides: Vec<Side>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Vec<run::Measured>, bool)> {
    let work = move || {
        let bar = bar(0, "{elapsed_precise} of the run, {msg}");
        let measured = measure(&plan, &sides, &stop, &bar);
        bar.finish_and_clear();
        anyhow::Ok((measured?, stop.load(Ordering::Relaxed)))
    };
    tokio::task::spawn_blocking(work).await.context("the load generator ended unexpectedly")?
}

/// A progress bar on standard error; nothing is drawn where that is not a terminal.
fn bar(length: u64, text: &str) -> ProgressBar {
    let template = format!("{{bar:40}} {text}");
    let style = ProgressStyle::with_template(&template).expect("a valid constant template");
    ProgressBar::new(length).with_style(style)
}

fn check_processes<'a>(watched: impl Iterator<Item = &'a Watched>) -> anyhow::Result<()> {
    let processes = Processes::read();
    for Watched { name, pid } in watched {
        ensure!(processes.cpu_of_tree(*pid).is_some(), "--pid {name}={pid}: no such process");
    }
    Ok(())
}

fn watch_interrupts(tasks: &mut JoinSet<()>, stop: Arc<AtomicBool>) -> AbortHandle {
    tasks.spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            terminal::error("ending after the answers under way; once more ends at once");
        }
    })
}

/// Prints the table and writes the JSON; with JSON on standard output the table makes way.
fn emit(json: Option<&str>, table: &str, report: &(impl Serialize + Sync)) -> anyhow::Result<()> {
    let Some(path) = json else {
        terminal::line(table);
        return Ok(());
    };
    let text = serde_json::to_string_pretty(report).context("figures as JSON")?;
    if path == "-" {
        terminal::error(table);
        terminal::line(&text);
    } else {
        terminal::line(table);
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}
