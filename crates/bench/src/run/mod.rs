//! The closed loop: every session sends a request, waits for the response, and sends the next.

mod session;
mod tally;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;

pub use self::tally::Tally;
use self::threads::{drive, load_threads};
use crate::args::Operation;
use crate::cpu::{Processes, WatchedProcess};
use crate::progress::bar;
use crate::target::Target;

/// Longest turn of one server before the other is measured again.
const TURN: Duration = Duration::from_secs(2);

/// What a run does, for all servers alike.
#[derive(Clone, Debug)]
pub struct Plan {
    pub operation: Operation,
    /// Sessions at once, one measurement each.
    pub counts: Vec<usize>,
    /// Measured time of each count and server.
    pub seconds: Duration,
    pub warmup: Duration,
    /// Longest wait for one response.
    pub timeout: Duration,
    /// Threads of the load generator.
    pub threads: usize,
}

/// One server with its sessions.
#[derive(Clone, Debug)]
pub struct Side {
    pub target: Arc<Target>,
    /// Refresh or access tokens, at least as many as the largest count.
    pub tokens: Vec<String>,
    pub watched: Vec<WatchedProcess>,
}

/// What was seen at one session count on one server.
#[derive(Debug)]
pub struct Measured {
    pub sessions: usize,
    /// Place of the server among the sides.
    pub side: usize,
    /// Time in which responses counted for the throughput.
    pub window: Duration,
    pub tally: Tally,
    /// CPU time of the load generator itself.
    pub client_cpu: Option<Duration>,
    /// CPU time of each watched process with its children; `None` if it was gone.
    pub watched_cpu: Vec<(WatchedProcess, Option<Duration>)>,
}

/// Runs the closed loop on a thread that may block; also says whether it was cut short.
pub async fn measure(
    plan: Plan,
    sides: Vec<Side>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Vec<Measured>, bool)> {
    let work = move || {
        let bar = bar(0, "{elapsed_precise} of the run, {msg}");
        let measured = measure_all(&plan, &sides, &stop, &bar);
        bar.finish_and_clear();
        anyhow::Ok((measured?, stop.load(Ordering::Relaxed)))
    };
    tokio::task::spawn_blocking(work).await.context("the load generator ended unexpectedly")?
}

/// Runs all counts on all sides, alternating between sides; ends early when `stop` becomes true.
fn measure_all(
    plan: &Plan,
    sides: &[Side],
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Measured>> {
    let mut threads = load_threads(plan, sides)?;
    let turns = if sides.len() < 2 {
        1
    } else {
        let wanted = plan.seconds.as_millis().div_ceil(TURN.as_millis());
        u32::try_from(wanted).unwrap_or(u32::MAX).clamp(3, 100)
    };
    bar.set_length(planned_ms(plan, sides.len()));
    let mut all = Vec::new();
    for &sessions in &plan.counts {
        let mut results: Vec<Measured> = (0..sides.len())
            .map(|side| Measured {
                sessions,
                side,
                window: Duration::ZERO,
                tally: Tally::default(),
                client_cpu: Some(Duration::ZERO),
                watched_cpu: Vec::new(),
            })
            .collect();
        for turn in 0..=turns {
            for (side, result) in results.iter_mut().enumerate() {
                if turn == 0 {
                    // What goes wrong while warming up is no less wrong; only speed is left out.
                    let warm = drive(&mut threads, side, sessions, plan.warmup, stop, bar)?;
                    result.tally.lost += warm.tally.lost;
                    result.tally.given_up += warm.tally.given_up;
                    continue;
                }
                let watched = &sides[side].watched;
                let before = snapshot(watched);
                let length = plan.seconds / turns;
                let seen = drive(&mut threads, side, sessions, length, stop, bar)?;
                add_cpu(result, watched, &before, &snapshot(watched));
                result.tally.add(&seen.tally);
                result.window += seen.window;
                result.client_cpu = result.client_cpu.zip(seen.cpu).map(|(a, b)| a + b);
            }
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
        all.append(&mut results);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(all)
}

fn planned_ms(plan: &Plan, sides: usize) -> u64 {
    let runs = u32::try_from(plan.counts.len() * sides).unwrap_or(u32::MAX);
    u64::try_from(((plan.seconds + plan.warmup) * runs).as_millis()).unwrap_or(u64::MAX)
}

fn snapshot(watched: &[WatchedProcess]) -> Vec<Option<Duration>> {
    if watched.is_empty() {
        return Vec::new();
    }
    let processes = Processes::read();
    let pids: Vec<u32> = watched.iter().map(|watched| watched.pid).collect();
    pids.iter().map(|&pid| processes.cpu_of_tree_without(pid, &pids)).collect()
}

fn add_cpu(
    result: &mut Measured,
    watched: &[WatchedProcess],
    before: &[Option<Duration>],
    after: &[Option<Duration>],
) {
    if result.watched_cpu.is_empty() {
        result.watched_cpu =
            watched.iter().map(|watched| (watched.clone(), Some(Duration::ZERO))).collect();
    }
    for ((_, sum), (before, after)) in result.watched_cpu.iter_mut().zip(before.iter().zip(after)) {
        *sum = sum
            .zip(before.zip(*after))
            .map(|(sum, (before, after))| sum + after.saturating_sub(before));
    }
}
