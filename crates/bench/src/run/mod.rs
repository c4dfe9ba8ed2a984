//! Load on one server, or on two in turns: as fast as responses come (closed loop), or at a rate that
//! does not depend on them (open loop).

mod arrivals;
mod caller;
mod clock;
mod closed_loop;
mod open_loop;
mod tally;
mod threads;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;

pub use self::tally::Tally;
use self::threads::{Drive, drive, load_threads};
use self::usage::Meter;
pub use self::usage::Usage;
use crate::calls::Operations;
use crate::cpu::WatchedProcess;
use crate::database_counters::DatabaseCounters;
use crate::progress::bar;
use crate::target::Target;

/// Longest turn of one server before the other is measured again.
const TURN: Duration = Duration::from_secs(2);

/// What a run does, for all servers alike.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One measurement each.
    pub points: Vec<Point>,
    /// Measured time of each point and server.
    pub seconds: Duration,
    pub warmup: Duration,
    /// Longest wait for one response.
    pub timeout: Duration,
    /// Threads of the load generator.
    pub threads: usize,
}

/// How much is asked at once.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Connections.
    pub sessions: usize,
    /// Requests a second of an open loop; a closed loop has none.
    pub per_second: Option<f64>,
}

impl Point {
    /// Closed loops with these counts.
    pub fn closed(counts: &[usize]) -> Vec<Self> {
        counts.iter().map(|&sessions| Self { sessions, per_second: None }).collect()
    }
}

/// One server with what is sent there.
#[derive(Debug)]
pub struct Side {
    pub target: Arc<Target>,
    /// More nodes of it, to which each connection goes in turn.
    pub nodes: Vec<Arc<Target>>,
    /// The kinds of requests; a closed loop sends the first.
    pub operations: Vec<Operations>,
    pub watched: Vec<WatchedProcess>,
    /// Counts what the database behind it does.
    pub database: Option<DatabaseCounters>,
}

/// What was seen at one point on one server.
#[derive(Debug)]
pub struct Measured {
    pub point: Point,
    /// Place of the server among the sides.
    pub side: usize,
    /// Time in which responses counted for the throughput.
    pub window: Duration,
    pub tally: Tally,
    /// CPU time of the load generator itself.
    pub client_cpu: Option<Duration>,
    pub usage: Usage,
}

/// Runs the load on a thread that may block; also says whether it was cut short.
pub async fn measure(
    plan: Plan,
    sides: Vec<Side>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Vec<Measured>, bool)> {
    let work = move || {
        let bar = bar(0, "{elapsed_precise} of the run, {msg}");
        let measured = measure_all(&plan, sides, &stop, &bar);
        bar.finish_and_clear();
        anyhow::Ok((measured?, stop.load(Ordering::Relaxed)))
    };
    tokio::task::spawn_blocking(work).await.context("the load generator ended unexpectedly")?
}

/// Runs all points on all sides, alternating between sides; ends early when `stop` becomes true.
fn measure_all(
    plan: &Plan,
    sides: Vec<Side>,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<Measured>> {
    let mut threads = load_threads(plan, &sides)?;
    let turns = if sides.len() < 2 {
        1
    } else {
        let wanted = plan.seconds.as_millis().div_ceil(TURN.as_millis());
        u32::try_from(wanted).unwrap_or(u32::MAX).clamp(3, 100)
    };
    bar.set_length(planned_ms(plan, sides.len()));
    let mut meters: Vec<Meter> =
        sides.into_iter().map(|side| Meter::new(side.watched, side.database)).collect();
    let mut all = Vec::new();
    for &point in &plan.points {
        let mut results: Vec<Measured> = (0..meters.len())
            .map(|side| Measured {
                point,
                side,
                window: Duration::ZERO,
                tally: Tally::default(),
                client_cpu: Some(Duration::ZERO),
                usage: Usage::default(),
            })
            .collect();
        for turn in 0..=turns {
            for (side, result) in results.iter_mut().enumerate() {
                if turn == 0 {
                    // What goes wrong while warming up is no less wrong; only speed is left out.
                    let warm_up = Drive { side, point, length: plan.warmup };
                    let warm = drive(&mut threads, warm_up, stop, bar)?;
                    result.tally.lost += warm.tally.lost;
                    result.tally.given_up += warm.tally.given_up;
                    continue;
                }
                let before = meters[side].read()?;
                let measured = Drive { side, point, length: plan.seconds / turns };
                let seen = drive(&mut threads, measured, stop, bar)?;
                result.usage.add(&before, &meters[side].read()?);
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
    let runs = u32::try_from(plan.points.len() * sides).unwrap_or(u32::MAX);
    u64::try_from(((plan.seconds + plan.warmup) * runs).as_millis()).unwrap_or(u64::MAX)
}
