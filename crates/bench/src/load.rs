//! What all load has in common: the servers are found, measured in turns, and reported.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::args::{self, DatabaseArgs, LoadArgs};
use crate::baseline;
use crate::calls::Operations;
use crate::control::Control;
use crate::database::database;
use crate::database_counters::DatabaseCounters;
use crate::profile::server_profile;
use crate::report::Report;
use crate::run::{Plan, Point, Side, measure};
use crate::target::Target;
use crate::watched::NamedProcess;

/// Time of the bare server at one count, beside a run.
const BASELINE_TIME: Duration = Duration::from_secs(2);

/// The first server and, if there is one, the second.
pub async fn targets(args: &LoadArgs) -> anyhow::Result<Vec<Arc<Target>>> {
    let mut targets = vec![Arc::new(Target::resolve(&args.url, args.allow_remote).await?)];
    if let Some(url) = &args.against {
        targets.push(Arc::new(Target::resolve(url, args.allow_remote).await?));
    }
    ensure!(args.nodes.len() <= 16, "at most 16 more nodes");
    // What is wrong with these is to be said before anything is made; they are looked for again
    // when the measurement begins.
    for named in args.pids.iter().chain(&args.against_pids) {
        named.find()?;
    }
    Ok(targets)
}

/// The numbers of sessions at once.
pub fn counts(args: &LoadArgs) -> anyhow::Result<Vec<usize>> {
    let counts =
        args.sessions.iter().map(|&count| usize::try_from(count)).collect::<Result<_, _>>();
    let mut counts: Vec<usize> = counts.context("a session count does not fit this machine")?;
    counts.dedup();
    ensure!(counts.len() <= 32, "at most 32 session counts in one run");
    Ok(counts)
}

/// The largest of them.
pub fn most(counts: &[usize]) -> anyhow::Result<usize> {
    counts.iter().copied().max().context("no session count")
}

/// Measures these operations of each server at these points.
pub async fn measure_all(
    name: &'static str,
    args: &LoadArgs,
    databases: &DatabaseArgs,
    points: Vec<Point>,
    servers: Vec<(Arc<Target>, Vec<Operations>)>,
    control: &Control,
) -> anyhow::Result<Report> {
    let mut nodes = Vec::new();
    for url in &args.nodes {
        nodes.push(Arc::new(Target::resolve(url, args.allow_remote).await?));
    }
    let (mut sides, mut profiles) = (Vec::new(), Vec::new());
    let watched = [&args.pids, &args.against_pids];
    for (((target, operations), watched), url) in
        servers.into_iter().zip(watched).zip(databases.by_side())
    {
        profiles.push(server_profile(&target, args.timeout).await);
        let watched = watched.iter().map(NamedProcess::find).collect::<anyhow::Result<_>>()?;
        let database = match url {
            Some(url) => {
                Some(DatabaseCounters::open(&database(url, args.allow_remote).await?).await?)
            }
            None => None,
        };
        // They are those of the first server.
        let nodes = std::mem::take(&mut nodes);
        sides.push(Side { target, nodes, operations, watched, database });
    }
    let threads = args::load_threads(args.threads);
    let (seconds, warmup, timeout) = (args.seconds, args.warmup, args.timeout);
    let plan = Plan { points, seconds, warmup, timeout, threads };
    let servers = sides.iter().map(|side| side.target.url.clone()).collect();
    let (measured, interrupted) = measure(plan, sides, Arc::clone(&control.stop)).await?;
    let mut report = Report::new(name, servers, threads, interrupted, &measured);
    let mut profiles = profiles.into_iter();
    report.server_profile = profiles.next().flatten();
    report.against_profile = profiles.next().flatten();
    if args.baseline && !interrupted {
        let bare = baseline::bare_responses(
            &args.sessions,
            seconds.min(BASELINE_TIME),
            args.threads,
            &control.stop,
        );
        report.compare_to(&bare.await?);
    }
    Ok(report)
}
