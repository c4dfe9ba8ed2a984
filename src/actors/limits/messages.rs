//! What the rate limiter is asked and told.

use ractor::RpcReplyPort;

use crate::actors::runtime::handle::{CallBound, Crash, MessageOrigin};
use crate::domain::rate_limit::{Policy, Verdict};
use crate::persistence::counters::Key;

/// An attempt that wants a place.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub key: Key,
    pub policy: Policy,
}

impl Ord for Ask {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Ask {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Ask {}

/// What Postgres says to it.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Given {
        /// The window in which it was counted.
        slot: i64,
        /// Nothing was left after it.
        is_last: bool,
    },
    Refused {
        verdict: Verdict,
        /// Attempts are under way whose success would make room.
        may_reopen: bool,
    },
}

/// Messages of the rate limiter.
pub enum RateLimiterMsg {
    /// May one more attempt be judged? `None` if Postgres does not say.
    Count(Ask, RpcReplyPort<Option<Answer>>),
    /// The statement that counts has ended.
    Counted,
    /// There are outcomes to tell.
    Settle,
    /// The statement that tells them has ended; `true` if it reached Postgres.
    Settled(bool),
    /// Time to exchange counts of requests with other nodes.
    Exchange,
    /// That has ended.
    Exchanged,
    /// Time to tidy up and to report.
    Tick,
    /// Panic.
    Crash,
}

impl MessageOrigin for RateLimiterMsg {
    fn is_from_caller(&self) -> bool {
        matches!(self, Self::Count(..) | Self::Settle | Self::Crash)
    }
}

impl Crash for RateLimiterMsg {
    fn crash() -> Self {
        Self::Crash
    }
}

impl CallBound for RateLimiterMsg {}
