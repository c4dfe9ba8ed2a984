//! The threads of the load generator, each with a runtime of its own: connections stay where their
//! reactor is, and no thread steals work from another.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::ProgressBar;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::caller::{Caller, Shared};
use super::open_loop::Queue;
use super::tally::{Tally, lock};
use super::{Plan, Point, Side, closed_loop, open_loop};
use crate::client::Client;
use crate::cpu::this_thread;

/// A thread's part of the connections, by side.
pub(super) struct LoadThread {
    runtime: Runtime,
    sides: Vec<SideOfThread>,
}

struct SideOfThread {
    callers: Vec<Caller>,
    names: Arc<[&'static str]>,
    weights: Vec<u32>,
    /// Longest wait for one response, and for its start.
    timeout: Duration,
}

/// What one thread reports of one turn.
pub(super) struct Turn {
    pub(super) tally: Tally,
    pub(super) window: Duration,
    pub(super) cpu: Option<Duration>,
}

/// One turn of one server.
#[derive(Clone, Copy)]
pub(super) struct Drive {
    pub(super) side: usize,
    pub(super) point: Point,
    pub(super) length: Duration,
}

/// Spreads the connections of all sides over the threads.
pub(super) fn load_threads(plan: &Plan, sides: &[Side]) -> anyhow::Result<Vec<LoadThread>> {
    let most = plan.points.iter().map(|point| point.sessions).max().unwrap_or(0);
    let number = plan.threads.clamp(1, most.max(1));
    let mut threads = Vec::with_capacity(number);
    for index in 0..number {
        let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
        let of_thread = |side: &Side| {
            let caller = |connection: usize| Caller {
                clients: std::iter::once(&side.target)
                    .chain(&side.nodes)
                    .map(|node| Client::new(Arc::clone(node), plan.timeout))
                    .collect(),
                calls: side.operations.iter().map(|kind| kind.of_connection(connection)).collect(),
                refusals: 0,
                over: false,
            };
            SideOfThread {
                callers: (index..most).step_by(number).map(caller).collect(),
                names: side.operations.iter().map(|kind| kind.name).collect(),
                weights: side.operations.iter().map(|kind| kind.weight).collect(),
                timeout: plan.timeout,
            }
        };
        threads.push(LoadThread { runtime, sides: sides.iter().map(of_thread).collect() });
    }
    Ok(threads)
}

/// All threads start together and stop together.
pub(super) fn drive(
    threads: &mut [LoadThread],
    drive: Drive,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<Turn> {
    let Drive { point, length, .. } = drive;
    let number = threads.len();
    let barrier = Barrier::new(number);
    let done = Arc::new(AtomicU64::new(0));
    let stop_all = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
    let (report, reports) = channel();
    thread::scope(|scope| {
        for (index, load_thread) in threads.iter_mut().enumerate() {
            // Connection i is in thread i modulo the number of threads.
            let own = point.sessions.saturating_sub(index).div_ceil(number);
            let (report, barrier) = (report.clone(), &barrier);
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop_all));
            // Many small streams of strangers are one large one.
            let rate = point.per_second.map(|rate| rate / f64::from(u32_of(number)));
            thread::Builder::new()
                .name(format!("bench-load-{index}"))
                .spawn_scoped(scope, move || {
                    let turn = load_thread.turn(drive, own, rate, barrier, stop, done);
                    let _ = report.send(turn);
                })
                .context("no thread for the load generator")?;
        }
        drop(report);
        let mut total =
            Turn { tally: Tally::default(), window: Duration::ZERO, cpu: Some(Duration::ZERO) };
        let (started, position) = (Instant::now(), bar.position());
        loop {
            match reports.recv_timeout(Duration::from_millis(50)) {
                Ok(turn) => {
                    let turn: Turn = turn?;
                    total.tally.add(&turn.tally);
                    total.window = total.window.max(turn.window);
                    total.cpu = total.cpu.zip(turn.cpu).map(|(a, b)| a + b);
                }
                Err(RecvTimeoutError::Timeout) => {
                    stop_all.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
                    let elapsed = started.elapsed().min(length);
                    bar.set_position(position + u64::try_from(elapsed.as_millis()).unwrap_or(0));
                    let rate = u128::from(done.load(Ordering::Relaxed)) * 1_000
                        / elapsed.as_millis().max(1);
                    bar.set_message(format!("{} sessions, {rate}/s", point.sessions));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        bar.set_position(position + u64::try_from(length.as_millis()).unwrap_or(0));
        Ok(total)
    })
}

fn u32_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl LoadThread {
    fn turn(
        &mut self,
        drive: Drive,
        count: usize,
        per_second: Option<f64>,
        barrier: &Barrier,
        stop: Arc<AtomicBool>,
        done: Arc<AtomicU64>,
    ) -> anyhow::Result<Turn> {
        let side = &mut self.sides[drive.side];
        let mut waiting = mem::take(&mut side.callers);
        let idle = waiting.split_off(count.min(waiting.len()));
        let (over, mut ready): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|caller| caller.over);
        self.runtime.block_on(async {
            for client in ready.iter_mut().flat_map(|caller| &mut caller.clients) {
                // A failure shows up, counted, in the loop.
                let _ = client.connect().await;
            }
        });
        barrier.wait();
        let (start, cpu) = (Instant::now(), this_thread());
        let until = start + drive.length;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let shared = Shared { tally: Arc::clone(&tally), until, stop, done };
        let finished = self.runtime.block_on(side.run(ready, per_second, shared));
        let cpu = this_thread().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        let mut finished = finished.context("no timer for the open loop")?;
        // Places are kept, so that a smaller count later means the same sessions.
        finished.extend(over);
        finished.extend(idle);
        side.callers = finished;
        let window = start.elapsed().min(drive.length);
        let tally = mem::take(&mut *lock(&tally));
        Ok(Turn { tally, window, cpu })
    }
}

impl SideOfThread {
    async fn run(
        &self,
        callers: Vec<Caller>,
        per_second: Option<f64>,
        shared: Shared,
    ) -> std::io::Result<Vec<Caller>> {
        let mut tasks = JoinSet::new();
        let Some(rate) = per_second else {
            for caller in callers {
                tasks.spawn(closed_loop::run(caller, shared.clone()));
            }
            return Ok(tasks.join_all().await);
        };
        let arrivals = Arrivals::new(rate, &self.weights, fastrand::Rng::new());
        let queue = Queue::new(arrivals, self.timeout, Arc::clone(&self.names), shared.clone())?;
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for caller in callers {
            tasks.spawn(open_loop::run(caller, Arc::clone(&queue), shared.clone()));
        }
        Ok(tasks.join_all().await)
    }
}
