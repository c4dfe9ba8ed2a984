//! Everything that is counted about clients and accounts; shared, atomic, not behind a mailbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::attempt_ledger::AttemptLedger;
use super::counter_key::CounterKey;
use super::counter_store::{CounterStore, Subject};
use super::pending_attempts::PendingAttempts;
use super::reach::{Counting, Reach};
use crate::domain::clock::Clock;
use crate::metrics::Counter;

/// How long an account remembers a client that proved itself.
const FAMILIAR_FOR: Duration = Duration::from_hours(30 * 24);

/// Pairs of account and client that are remembered.
const MAX_FAMILIAR: u64 = 100_000;

/// Everything that is counted; cheap to clone.
#[derive(Clone)]
pub struct Counters {
    /// Requests. Apart from the next one, so that a flood of addresses pushes no account out.
    pub requests: CounterStore,
    /// Failed proofs that this node has seen.
    pub attempts: CounterStore,
    /// Proofs that are looked at.
    pub pending_attempts: PendingAttempts,
    /// What Postgres is told of these.
    pub ledger: AttemptLedger,
    /// Whether nodes hear of each other's requests.
    pub(super) request_reach: Reach,
    pub(super) key: CounterKey,
    pub(super) familiar: Cache<Subject, ()>,
    /// Since the last summary in the log.
    pub(super) refused: Arc<AtomicU64>,
    refusals: Arc<[Counter; Guard::ALL.len()]>,
}

/// What turned something away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A limit of requests.
    RateLimit,
    /// The limit of failed proofs of an account.
    Attempts,
    /// A sign-up without a proof that Turnstile accepts.
    Turnstile,
    /// The limit of mails and SMS to one recipient.
    Recipient,
}

impl Guard {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::RateLimit, Self::Attempts, Self::Turnstile, Self::Recipient];

    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate-limit",
            Self::Attempts => "attempts",
            Self::Turnstile => "turnstile",
            Self::Recipient => "recipient",
        }
    }
}

impl Counters {
    /// Everything at zero.
    pub fn new(clock: &Clock, key: CounterKey) -> Self {
        let familiar = Cache::builder()
            .max_capacity(MAX_FAMILIAR)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(FAMILIAR_FOR)
            .build();
        let attempts = CounterStore::new(clock.clone());
        let reach = Reach::new(Counting::Attempts);
        let ledger = AttemptLedger::new(key.clone(), clock.clone(), reach);
        Self {
            requests: CounterStore::shared(clock.clone()),
            pending_attempts: PendingAttempts::new(attempts.clone(), ledger.clone()),
            attempts,
            ledger,
            request_reach: Reach::new(Counting::Requests),
            key,
            familiar,
            refused: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// Whether what all nodes share can be reached.
    pub fn reaches(&self) -> [&Reach; 2] {
        [&self.ledger.reach, &self.request_reach]
    }

    /// Whether this client has proved lately that the account is its own.
    pub fn is_familiar(&self, account_from: Subject) -> bool {
        self.familiar.contains_key(&account_from)
    }

    /// The client has just proved it.
    pub fn remember(&self, account_from: Subject) {
        self.familiar.insert(account_from, ());
    }

    /// Counts what was turned away; limits are summed up in the log.
    pub fn note_refusal(&self, by: Guard) {
        self.refusals[by as usize].increment();
        if by != Guard::Turnstile {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was turned away so far.
    pub fn refusals(&self, by: Guard) -> u64 {
        self.refusals[by as usize].get()
    }
}
