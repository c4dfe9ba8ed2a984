//! The closed loop: every session sends a request, waits for the response, and sends the next.
//!
//! Sessions are spread over threads, each with a runtime of its own: connections stay where
//! their reactor is, and no thread steals work from another.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::args::Operation;
use crate::client::{Client, Outcome, pause};
use crate::cpu::{Processes, WatchedProcess, this_thread};
use crate::progress::bar;
use crate::target::Target;

/// Refusals in a row after which a session is given up.
const MAX_REFUSALS: u32 = 10;
/// Latencies are recorded in nanoseconds up to here.
const MAX_LATENCY: Duration = Duration::from_hours(1);
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

/// Counts and latencies.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Responses with a new token, those after the end of the window included.
    pub ok: u64,
    /// Responses within the window.
    pub in_window: u64,
    /// Sessions whose newest token was refused as invalid; must be 0.
    pub lost: u64,
    /// Sessions given up after many refusals in a row.
    pub given_up: u64,
    /// Everything else that went wrong, by kind.
    pub errors: BTreeMap<String, u64>,
    /// Latency of responses with a new token, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let max = u64::try_from(MAX_LATENCY.as_nanos()).unwrap_or(u64::MAX);
        let latency = Histogram::new_with_bounds(1_000, max, 3).expect("constant, valid bounds");
        let (ok, in_window, lost, given_up, errors) = (0, 0, 0, 0, BTreeMap::new());
        Self { ok, in_window, lost, given_up, errors, latency }
    }
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.in_window += other.in_window;
        self.lost += other.lost;
        self.given_up += other.given_up;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.latency.add(&other.latency).expect("both have the same bounds");
    }
}

struct Session {
    operation: Operation,
    client: Client,
    token: String,
    /// Lost or given up; not used any more.
    over: bool,
}

/// A thread's part of the sessions, by side.
struct LoadThread {
    runtime: Runtime,
    sides: Vec<Vec<Session>>,
}

/// What one thread reports of one turn.
struct Turn {
    tally: Tally,
    window: Duration,
    cpu: Option<Duration>,
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

fn load_threads(plan: &Plan, sides: &[Side]) -> anyhow::Result<Vec<LoadThread>> {
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

/// One turn of one server: all threads start together and stop together.
fn drive(
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

impl Session {
    /// Sends requests until the time is over; the last response is waited for, as it has the newest
    /// token.
    async fn run(
        mut self,
        until: Instant,
        tally: Arc<Mutex<Tally>>,
        stop: Arc<AtomicBool>,
        done: Arc<AtomicU64>,
    ) -> Self {
        let mut refusals = 0;
        let mut failures = 0_u32;
        let mut start = Instant::now();
        while start < until && !stop.load(Ordering::Relaxed) && !self.over {
            let outcome = match self.operation {
                Operation::Refresh => self.client.refresh(&mut self.token).await,
                Operation::Verify => self.client.verify(&self.token).await,
                Operation::User => self.client.user(&self.token).await,
            };
            let end = Instant::now();
            if outcome == Outcome::Ok {
                let nanos = u64::try_from((end - start).as_nanos()).unwrap_or(u64::MAX);
                let mut tally = lock(&tally);
                tally.ok += 1;
                tally.in_window += u64::from(end <= until);
                tally.latency.saturating_record(nanos);
                drop(tally);
                done.fetch_add(1, Ordering::Relaxed);
                (refusals, failures) = (0, 0);
                start = end;
                continue;
            }
            {
                let mut tally = lock(&tally);
                match outcome {
                    Outcome::Ok => {}
                    Outcome::Lost => {
                        tally.lost += 1;
                        self.over = true;
                    }
                    Outcome::Refused(status, code) => {
                        let kind = format!("{} {code}", status.as_u16());
                        *tally.errors.entry(kind).or_default() += 1;
                        // An overloaded server may recover; a plain no will stay a no.
                        refusals += u32::from(!status.is_server_error() && status.as_u16() != 429);
                        if refusals >= MAX_REFUSALS {
                            tally.given_up += 1;
                            self.over = true;
                        }
                    }
                    Outcome::Failed(failure) => {
                        *tally.errors.entry(failure.kind().to_owned()).or_default() += 1;
                    }
                }
            }
            failures = (failures + 1).min(6);
            let left = until.saturating_duration_since(end);
            pause((Duration::from_millis(10) * (1 << failures)).min(left)).await;
            start = Instant::now();
        }
        self
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
