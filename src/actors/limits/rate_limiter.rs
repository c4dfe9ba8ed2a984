//! Owns the counters of rate limits and of failed attempts.
//!
//! - Owns: the life of the counter stores, and the one log line that sums up refusals.
//! - Not in its mailbox: the counting. [`Counters`] is shared, atomic and lock-free across awaits;
//!   a message there and back for each request would put all requests into one queue to protect
//!   nothing. The policies come from the live configuration at each request.
//! - Writes through: nothing; counts are this node's and end with it.
//! - On restart: the counters stay, the rhythm starts anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::counters::Counters;
use crate::actors::parts::Parts;
use crate::actors::runtime::handle::{CallBound, Crash, Handle, MessageOrigin};
use crate::actors::runtime::supervisor::ChildSpec;

/// Expired entries cost memory only, so there is no hurry.
const INTERVAL: Duration = Duration::from_secs(30);

/// Messages of the rate limiter.
pub enum RateLimiterMsg {
    /// Time to tidy up and to report.
    Tick,
    /// Panic.
    Crash,
}

impl MessageOrigin for RateLimiterMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Crash)
    }
}

impl Crash for RateLimiterMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for RateLimiterMsg {}

/// The handle, and the child that the tree starts.
pub fn start(parts: &Parts) -> (Handle<RateLimiterMsg>, ChildSpec) {
    let slot = Arc::default();
    let counters = parts.counters.clone();
    let child = ChildSpec::actor("rate_limiter", &slot, || RateLimiter, move || counters.clone());
    (Handle::configured("rate limiter", slot, &parts.config.load()), child)
}

/// The actor.
pub struct RateLimiter;

impl Actor for RateLimiter {
    type Msg = RateLimiterMsg;
    type State = Counters;
    type Arguments = Counters;

    async fn pre_start(
        &self,
        myself: ActorRef<RateLimiterMsg>,
        counters: Counters,
    ) -> Result<Counters, ActorProcessingErr> {
        myself.send_interval(INTERVAL, || RateLimiterMsg::Tick);
        Ok(counters)
    }

    async fn handle(
        &self,
        _myself: ActorRef<RateLimiterMsg>,
        message: RateLimiterMsg,
        counters: &mut Counters,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            RateLimiterMsg::Tick => counters.tick(),
            RateLimiterMsg::Crash => panic!("the rate limiter was told to crash"),
        }
        Ok(())
    }
}

impl Counters {
    fn tick(&self) {
        let requests = self.requests.tidy();
        let accounts = self.attempts.tidy();
        self.familiar.run_pending_tasks();
        let refused = self.refused.swap(0, Ordering::Relaxed);
        if refused > 0 {
            tracing::warn!(
                refused,
                seconds = INTERVAL.as_secs(),
                clients = requests,
                accounts,
                "requests refused by rate limits"
            );
        }
    }
}
