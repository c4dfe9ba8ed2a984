//! Counts for all nodes: attempts of accounts, which Postgres judges, and requests, of which nodes tell
//! each other.
//!
//! - Owns: the order of the statements about counters: one of each kind is under way, and what comes to
//!   wait meanwhile is the next batch. Also the life of the counter stores, and the log line that sums up
//!   refusals.
//! - Caches: in [`Counters`], which is shared and outlives this actor: what this node has counted of
//!   requests and what others have told of them, and refusals of accounts for a second. Requests are
//!   judged there and wait for nobody.
//! - Writes through: places of attempts before they are judged, their outcomes as they come, and every
//!   100 ms counts of requests above a tenth of their limit. Nothing where there is no news.
//! - On restart: the statements under way go on and reply to their callers, calls that waited are sent
//!   again by their handle. Outcomes and counts wait for the next incarnation: nothing is lost.
//! - While Postgres does not answer, `reach.rs` says so and every node counts alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::counters::Counters;
use super::messages::{Answer, Ask, RateLimiterMsg};
use crate::actors::parts::Parts;
use crate::actors::runtime::batcher::{Batch, Batcher};
use crate::actors::runtime::handle::{Handle, Slot};
use crate::actors::runtime::supervisor::ChildSpec;
use crate::actors::runtime::tasks::Tasks;
use crate::domain::clock::Clock;
use crate::domain::rate_limit::{Counts, Halves, Policy};
use crate::metrics::ActorStats;
use crate::persistence::counters::{self, Asked, Counted};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;

/// Expired entries cost memory only, so there is no hurry.
const TIDY_EVERY: Duration = Duration::from_secs(30);

/// How old what nodes know of each other's requests becomes.
const EXCHANGE_EVERY: Duration = Duration::from_millis(100);

/// Longest time of a statement, below that for which its callers wait.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_millis(900);

/// Keys of one statement.
const BATCH: usize = 256;

/// Attempts of one statement, which has a row for each account: a crowd at one account is one row, and
/// must not wait for statement after statement.
const ATTEMPTS_AT_ONCE: usize = 4_096;

/// How long a stopping node waits for what it still has to tell.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<RateLimiterMsg>, ChildSpec) {
    let slot: Arc<Slot<RateLimiterMsg>> = Arc::default();
    let args = RateLimiterArgs {
        counters: parts.counters.clone(),
        pool: parts.pool.clone(),
        clock: parts.clock.clone(),
        node: random_node(),
        stats: Arc::clone(slot.stats()),
    };
    let child = ChildSpec::actor("rate_limiter", &slot, || RateLimiter, move || args.clone());
    (Handle::configured("rate limiter", slot, &parts.config.load()), child)
}

/// Whose the rows of requests are; above 0, which is everybody.
fn random_node() -> i64 {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
    (i64::from_be_bytes(bytes) & i64::MAX).max(1)
}

/// The actor.
pub struct RateLimiter;

/// What the rate limiter works with.
#[derive(Clone)]
pub struct RateLimiterArgs {
    counters: Counters,
    pool: MeasuredPool,
    clock: Clock,
    node: i64,
    stats: Arc<ActorStats>,
}

/// What is under way.
pub struct RateLimiterState {
    args: RateLimiterArgs,
    asking: Batcher<Ask, Option<Answer>>,
    is_settling: bool,
    is_exchanging: bool,
    tasks: Tasks<RateLimiterMsg>,
}

impl Actor for RateLimiter {
    type Msg = RateLimiterMsg;
    type State = RateLimiterState;
    type Arguments = RateLimiterArgs;

    async fn pre_start(
        &self,
        myself: ActorRef<RateLimiterMsg>,
        args: RateLimiterArgs,
    ) -> Result<RateLimiterState, ActorProcessingErr> {
        myself.send_interval(TIDY_EVERY, || RateLimiterMsg::Tick);
        myself.send_interval(EXCHANGE_EVERY, || RateLimiterMsg::Exchange);
        Ok(RateLimiterState {
            asking: Batcher::new(args.stats.batcher("count")),
            is_settling: false,
            is_exchanging: false,
            tasks: Tasks::of(&myself, &args.stats),
            args,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<RateLimiterMsg>,
        message: RateLimiterMsg,
        state: &mut RateLimiterState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RateLimiterMsg::Count(ask, reply) => {
                state.asking.push(ask, reply);
                state.count();
            }
            RateLimiterMsg::Counted => {
                state.asking.finished();
                state.count();
            }
            RateLimiterMsg::Settle => state.settle(),
            RateLimiterMsg::Settled(reached) => {
                state.is_settling = false;
                // What could not be told waits until Postgres answers.
                if reached {
                    state.settle();
                }
            }
            RateLimiterMsg::Exchange => {
                state.exchange();
                state.settle();
            }
            RateLimiterMsg::Exchanged => state.is_exchanging = false,
            RateLimiterMsg::Tick => state.args.counters.tick(),
            RateLimiterMsg::Crash => panic!("the rate limiter was told to crash"),
        }
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<RateLimiterMsg>,
        state: &mut RateLimiterState,
    ) -> Result<(), ActorProcessingErr> {
        let args = &state.args;
        // Those that wait are told nothing, so that their callers judge by themselves.
        state.tasks.end_within(STOP_LIMIT).await;
        if args.counters.ledger.reach.is_there() {
            settle(args.clone()).await;
        }
        if args.counters.request_reach.is_there() {
            args.counters.exchange(&args.pool, args.node).await;
        }
        Ok(())
    }
}

impl RateLimiterState {
    fn count(&mut self) {
        if let Some(batch) = self.asking.next_batch(ATTEMPTS_AT_ONCE) {
            self.tasks.spawn(count(self.args.clone(), batch), |_| RateLimiterMsg::Counted);
        }
    }

    fn settle(&mut self) {
        let ledger = &self.args.counters.ledger;
        // While Postgres is away this is what finds out whether it answers again.
        let is_due = ledger.has_outcomes() || !ledger.reach.is_there();
        if !self.is_settling && is_due && ledger.reach.may_ask() {
            self.is_settling = true;
            let settling = settle(self.args.clone());
            self.tasks.spawn(settling, |done| RateLimiterMsg::Settled(done.unwrap_or(false)));
        }
    }

    fn exchange(&mut self) {
        if self.is_exchanging || !self.args.counters.has_news() {
            return;
        }
        self.is_exchanging = true;
        let RateLimiterArgs { counters, pool, node, .. } = self.args.clone();
        let exchanging = async move { counters.exchange(&pool, node).await };
        self.tasks.spawn(exchanging, |_| RateLimiterMsg::Exchanged);
    }
}

/// One statement for the attempts of a batch.
async fn count(args: RateLimiterArgs, batch: Batch<Ask, Option<Answer>>) {
    let requests = batch.into_requests();
    let same_key = |one: &(Ask, _), other: &(Ask, _)| one.0.key == other.0.key;
    let asked: Vec<Asked> = requests
        .chunk_by(same_key)
        .map(|same| Asked {
            key: same[0].0.key,
            span: millis(same[0].0.policy.window),
            wanted: i32::try_from(same.len()).unwrap_or(i32::MAX),
            limit: i32::try_from(same[0].0.policy.limit).unwrap_or(i32::MAX),
        })
        .collect();
    let advanced = args.clock.advanced();
    let mut counted =
        match in_time(STATEMENT_LIMIT, counters::count(&args.pool, &asked, advanced)).await {
            Ok(counted) => counted,
            Err(error) => {
                args.counters.ledger.reach.failed(&error);
                for (_, reply) in requests {
                    let _ = reply.send(None);
                }
                return;
            }
        };
    args.counters.ledger.reach.answered();
    counted.sort_unstable_by_key(|(key, _)| *key);
    let mut granted: i32 = 0;
    let mut last = None;
    for (ask, reply) in requests {
        let found = counted.binary_search_by(|(key, _)| key.cmp(&ask.key));
        let Ok(row) = found.map(|at| counted[at].1) else { continue };
        if last.replace(ask.key) != Some(ask.key) {
            granted = row.granted;
        }
        let answer = answer(ask.policy, row, granted);
        granted -= 1;
        let is_given = matches!(answer, Answer::Given { .. });
        if reply.send(Some(answer)).is_err() && is_given {
            args.counters.ledger.withdraw(ask.key, row.slot);
        }
    }
}

/// The answer to one of those with the same key, of whom so many still get a place.
fn answer(policy: Policy, row: Counted, granted: i32) -> Answer {
    let half = |count: i32| u32::try_from(count).unwrap_or_default();
    let halves = Halves { current: half(row.current), previous: half(row.previous) };
    let slot = u64::try_from(row.slot).unwrap_or_default();
    let next = Counts::of(slot, halves).peek(policy, row.now);
    if granted <= 0 {
        return Answer::Refused { verdict: next, may_reopen: row.under_way > 0 };
    }
    Answer::Given { slot: row.slot, is_last: granted == 1 && !next.allowed }
}

/// Tells Postgres the outcomes that it does not know; tells whether that went well.
async fn settle(args: RateLimiterArgs) -> bool {
    let ledger = &args.counters.ledger;
    // What hangs may be lost, so who finds out whether Postgres answers again has nothing with them.
    let is_there = ledger.reach.is_there();
    let mut outcomes = if is_there { ledger.take_outcomes(BATCH) } else { Vec::new() };
    if outcomes.is_empty() && is_there {
        return true;
    }
    outcomes.sort_unstable_by_key(|one| one.key);
    let (result, may_be_done) = match in_time(STATEMENT_LIMIT, args.pool.acquire()).await {
        Err(error) => (Err(error), false),
        Ok(mut connection) => {
            let settling = counters::settle(&mut *connection, &outcomes);
            let result = in_time(STATEMENT_LIMIT, settling).await;
            // What Postgres refused it has not done.
            let is_refused = matches!(result, Err(sqlx::Error::Database(_)));
            (result, !is_refused)
        }
    };
    match result {
        Ok(under_way) => {
            ledger.reach.answered();
            ledger.settled(&outcomes, &under_way);
            true
        }
        Err(error) => {
            ledger.reach.failed(&error);
            // Told twice, they would make room that there is not.
            if !may_be_done {
                ledger.put_back(outcomes);
            }
            false
        }
    }
}

/// Milliseconds of a window, as `domain::rate_limit` has them.
fn millis(window: Duration) -> i64 {
    i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1)
}

impl Counters {
    fn has_news(&self) -> bool {
        self.requests.has_untold() || !self.request_reach.is_there()
    }

    fn tick(&self) {
        let requests = self.requests.tidy();
        let accounts = self.attempts.tidy();
        self.familiar.run_pending_tasks();
        let refused = self.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            tracing::warn!(
                refused,
                seconds = TIDY_EVERY.as_secs(),
                clients = requests,
                accounts,
                "requests refused by rate limits"
            );
        }
    }
}
