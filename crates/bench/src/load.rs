//! Closed-loop load of one server, or of two in turns: sessions are opened, driven, and reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::args::{self, LoadArgs, Operation, RefreshArgs};
use crate::baseline;
use crate::client::pause;
use crate::cpu::{Processes, WatchedProcess};
use crate::database::database;
use crate::profile::server_profile;
use crate::progress::bar;
use crate::report::Report;
use crate::run::{Plan, Side, measure};
use crate::session_rows::SessionFiller;
use crate::sessions::Accounts;
use crate::sign_in_burst::SignInBurst;
use crate::target::Target;

/// Time of the bare server at one count, beside a run.
const BASELINE_TIME: Duration = Duration::from_secs(2);

/// Measures refreshes: with each number of rows, and then once more during a burst of sign-ins.
pub async fn refresh(args: &RefreshArgs, stop: Arc<AtomicBool>) -> anyhow::Result<Report> {
    let Some(url) = &args.database_url else { return with_and_without_burst(args, &stop).await };
    let options = database(url, args.load.allow_remote).await?;
    let mut filler = SessionFiller::open(&options).await.context("--database-url")?;
    let mut all: Option<Report> = None;
    let mut sizes = args.rows.clone();
    sizes.sort_unstable();
    let work = async {
        for rows in sizes {
            filler.fill_up_to(rows).await.context("cannot fill auth.refresh_tokens")?;
            let mut report = with_and_without_burst(args, &stop).await?;
            report.results.iter_mut().for_each(|result| result.rows = Some(rows));
            all = Some(Report::joined(all.take(), report));
        }
        anyhow::Ok(())
    };
    let ended = work.await;
    filler.close().await.context("cannot remove the rows that were added")?;
    ended?;
    all.context("--database-url is for --rows")
}

async fn with_and_without_burst(
    args: &RefreshArgs,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Report> {
    let calm = load(&args.load, Operation::Refresh, stop).await?;
    let Some(connections) = args.sign_in_burst else { return Ok(calm) };
    let target = Arc::new(Target::resolve(&args.load.url, args.load.allow_remote).await?);
    let alone = SignInBurst::start(&target, connections, &args.load).await?;
    pause(args.load.seconds).await;
    let alone = alone.stop();
    let burst = SignInBurst::start(&target, connections, &args.load).await?;
    let during_burst = load(&args.load, Operation::Refresh, stop).await;
    let rate = burst.stop();
    let mut during_burst = during_burst?;
    for result in &mut during_burst.results {
        result.sign_ins_per_second = Some(rate);
        result.sign_ins_alone_per_second = Some(alone);
    }
    Ok(Report::joined(Some(calm), during_burst))
}

/// Measures one server, or two in turns; `stop` ends it early.
pub async fn load(
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
    let (mut sides, mut profiles) = (Vec::new(), Vec::new());
    for (target, watched) in targets {
        let target = Arc::new(target);
        profiles.push(server_profile(&target, args.timeout).await);
        let bar = bar(u64::try_from(most).unwrap_or(u64::MAX), "sessions {pos}/{len}");
        let tokens = accounts.open(&target, operation, most, stop, &bar).await;
        bar.finish_and_clear();
        let tokens = tokens?;
        if stop.load(Ordering::Relaxed) {
            bail!("interrupted before anything was measured");
        }
        sides.push(Side { target, tokens, watched: watched.clone() });
    }

    let threads = args::load_threads(args.threads);
    let (seconds, warmup, timeout) = (args.seconds, args.warmup, args.timeout);
    let plan = Plan { operation, counts, seconds, warmup, timeout, threads };
    let servers = sides.iter().map(|side| side.target.url.clone()).collect();
    let (measured, interrupted) = measure(plan, sides, Arc::clone(stop)).await?;
    let mut report = Report::new(operation, servers, threads, interrupted, &measured);
    let mut profiles = profiles.into_iter();
    report.server_profile = profiles.next().flatten();
    report.against_profile = profiles.next().flatten();
    if args.baseline && !interrupted {
        let bare = baseline::bare_responses(
            &args.sessions,
            seconds.min(BASELINE_TIME),
            args.threads,
            stop,
        );
        report.compare_to(&bare.await?);
    }
    Ok(report)
}

fn check_processes<'a>(watched: impl Iterator<Item = &'a WatchedProcess>) -> anyhow::Result<()> {
    let processes = Processes::read();
    for WatchedProcess { name, pid } in watched {
        ensure!(processes.cpu_of_tree(*pid).is_some(), "--pid {name}={pid}: no such process");
    }
    Ok(())
}
