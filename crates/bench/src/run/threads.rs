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

use super::session::{Session, lock};
use super::tally::Tally;
use super::{Plan, Side};
use crate::client::Client;
use crate::cpu::this_thread;

/// A thread's part of the sessions, by side.
pub(super) struct LoadThread {
    runtime: Runtime,
    sides: Vec<Vec<Session>>,
}

/// What one thread reports of one turn.
pub(super) struct Turn {
    pub(super) tally: Tally,
    pub(super) window: Duration,
    pub(super) cpu: Option<Duration>,
}

/// Spreads the sessions of all sides over the threads.
pub(super) fn load_threads(plan: &Plan, sides: &[Side]) -> anyhow::Result<Vec<LoadThread>> {
    let most = plan.counts.iter().copied().max().unwrap_or(0);
    let number = plan.threads.clamp(1, most.max(1));
    let mut threads = Vec::with_capacity(number);
    for index in 0..number {
        let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
        let mut own = Vec::new();
        for side in sides {
            let mut sessions = Vec::new();
            for token in side.tokens.iter().take(most).skip(index).step_by(number) {
                let client = Client::new(Arc::clone(&side.target), plan.timeout);
                let (operation, token) = (plan.operation, token.clone());
                sessions.push(Session { operation, client, token, over: false });
            }
            own.push(sessions);
        }
        threads.push(LoadThread { runtime, sides: own });
    }
    Ok(threads)
}

/// One turn of one server: all threads start together and stop together.
pub(super) fn drive(
    threads: &mut [LoadThread],
    side: usize,
    sessions: usize,
    length: Duration,
    stop: &AtomicBool,
    bar: &ProgressBar,
) -> anyhow::Result<Turn> {
    let number = threads.len();
    let barrier = Barrier::new(number);
    let done = Arc::new(AtomicU64::new(0));
    let stop_all = Arc::new(AtomicBool::new(stop.load(Ordering::Relaxed)));
    let (report, reports) = channel();
    thread::scope(|scope| {
        for (index, load_thread) in threads.iter_mut().enumerate() {
            // Session i is in thread i modulo the number of threads.
            let own = sessions.saturating_sub(index).div_ceil(number);
            let (report, barrier) = (report.clone(), &barrier);
            let (done, stop) = (Arc::clone(&done), Arc::clone(&stop_all));
            thread::Builder::new()
                .name(format!("bench-load-{index}"))
                .spawn_scoped(scope, move || {
                    let turn = load_thread.turn(side, own, length, barrier, &stop, &done);
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
                    bar.set_message(format!("{sessions} sessions, {rate}/s"));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        bar.set_position(position + u64::try_from(length.as_millis()).unwrap_or(0));
        Ok(total)
    })
}

impl LoadThread {
    fn turn(
        &mut self,
        side: usize,
        count: usize,
        length: Duration,
        barrier: &Barrier,
        stop: &Arc<AtomicBool>,
        done: &Arc<AtomicU64>,
    ) -> Turn {
        let mut waiting = mem::take(&mut self.sides[side]);
        let idle = waiting.split_off(count.min(waiting.len()));
        let (over, mut ready): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|session| session.over);
        let tally = Arc::new(Mutex::new(Tally::default()));
        self.runtime.block_on(async {
            for session in &mut ready {
                // A failure shows up, counted, in the loop.
                let _ = session.client.connect().await;
            }
        });
        barrier.wait();
        let (start, cpu) = (Instant::now(), this_thread());
        let until = start + length;
        let mut finished = self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for session in ready {
                let (tally, stop) = (Arc::clone(&tally), Arc::clone(stop));
                tasks.spawn(session.run(until, tally, stop, Arc::clone(done)));
            }
            tasks.join_all().await
        });
        let cpu = this_thread().zip(cpu).map(|(after, before)| after.saturating_sub(before));
        // Places are kept, so that a smaller count later means the same sessions.
        finished.extend(over);
        finished.extend(idle);
        self.sides[side] = finished;
        let window = start.elapsed().min(length);
        let tally = mem::take(&mut *lock(&tally));
        Turn { tally, window, cpu }
    }
}
