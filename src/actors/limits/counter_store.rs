//! Counts in the memory of this node. Counting and judging are one step, which waits for nobody; what
//! other nodes have counted of requests is told to it a moment later (`exchange.rs`).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;

use crate::domain::client_network::ClientNetwork;
use crate::domain::clock::Clock;
use crate::domain::rate_limit::{Counts, Halves, Policy, Verdict};

/// Entries of one store. Past it one that came but once, or was idle for long, goes; its owner starts
/// from zero.
const CAPACITY: usize = 100_000;

/// Whom a count belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Everybody together.
    All,
    /// One client.
    Network(ClientNetwork),
    /// An account as far as a stranger can name it, hashed: it need not exist.
    Account([u8; 32]),
    /// An account, as seen from one client.
    AccountFrom([u8; 32], ClientNetwork),
}

/// Names one pair of counters. The length of the window is part of it: after a reload with another
/// one, counting starts anew, since numbers of windows of different lengths do not compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub scope: &'static str,
    pub window: Duration,
    pub subject: Subject,
}

/// Counters in a bounded cache; cheap to clone. A lock is held for a few additions and never across
/// an await.
///
/// Every request reads an entry, and with an expiry of its own moka would write down each of these reads
/// for its housekeeper. Here an entry that says nothing any more is found by `tidy`.
#[derive(Clone)]
pub struct CounterStore {
    cells: Arc<Cache<Key, Cell>>,
    /// What other nodes are to hear of, if they are to hear of anything; each cell once.
    untold: Option<Arc<Mutex<Vec<Untold>>>>,
    clock: Clock,
}

type Cell = Arc<Mutex<Kept>>;

#[derive(Default)]
struct Kept {
    counts: Counts,
    is_listed: bool,
}

/// A pair of counters with news.
pub struct Untold {
    pub key: Key,
    cell: Cell,
}

impl Untold {
    /// What was counted here until now, with the number of its window; what comes later is news again.
    pub fn tell(&self) -> (u64, Halves) {
        locked(&self.cell, |kept| {
            kept.is_listed = false;
            kept.counts.own()
        })
    }

    /// Takes over what the others have counted.
    pub fn learn(&self, others: impl Iterator<Item = (u64, Halves)>) {
        locked(&self.cell, |kept| kept.counts.learn(others));
    }
}

impl CounterStore {
    /// An empty store, which is this node's alone.
    pub fn new(clock: Clock) -> Self {
        Self { cells: Arc::new(Cache::new(CAPACITY)), untold: None, clock }
    }

    /// An empty store that lists what other nodes are to hear of.
    pub fn shared(clock: Clock) -> Self {
        Self { untold: Some(Arc::default()), ..Self::new(clock) }
    }

    /// Counts one more in `scope` if the policy allows it.
    pub fn hit(&self, scope: &'static str, subject: Subject, policy: Policy) -> Verdict {
        let key = Key { scope, window: policy.window, subject };
        let Ok(cell) = self.cells.get_or_insert_with(&key, || Ok::<_, Infallible>(Cell::default()));
        let now = self.clock.now();
        let (verdict, is_news) = locked(&cell, |kept| {
            let verdict = kept.counts.hit(policy, now);
            let is_news = self.untold.is_some()
                && verdict.allowed
                && !kept.is_listed
                && kept.counts.is_above_a_tenth(policy);
            kept.is_listed |= is_news;
            (verdict, is_news)
        });
        if let (true, Some(untold)) = (is_news, &self.untold) {
            let mut untold = untold.lock().unwrap_or_else(PoisonError::into_inner);
            // While nobody can be told the list does not grow for ever; it tells what it has.
            if untold.len() < CAPACITY {
                untold.push(Untold { key, cell });
            }
        }
        verdict
    }

    /// Whether others are to hear of something.
    pub fn has_untold(&self) -> bool {
        let untold = self.untold.as_ref();
        untold.is_some_and(|list| !list.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
    }

    /// Takes at most so many of the counters with news.
    pub fn take_untold(&self, most: usize) -> Vec<Untold> {
        let Some(untold) = &self.untold else { return Vec::new() };
        let mut untold = untold.lock().unwrap_or_else(PoisonError::into_inner);
        let most = most.min(untold.len());
        untold.drain(..most).collect()
    }

    /// Lists them again, for nobody could be told.
    pub fn put_back(&self, news: Vec<Untold>) {
        let Some(untold) = &self.untold else { return };
        let again = news
            .into_iter()
            .filter(|one| locked(&one.cell, |kept| !std::mem::replace(&mut kept.is_listed, true)));
        let again: Vec<_> = again.collect();
        untold.lock().unwrap_or_else(PoisonError::into_inner).extend(again);
    }

    /// Whether one more would be allowed; counts nothing.
    pub fn peek(&self, scope: &'static str, subject: Subject, policy: Policy) -> Verdict {
        let key = Key { scope, window: policy.window, subject };
        // Looking must not fill the store.
        let counts = self
            .cells
            .get(&key)
            .map_or_else(Counts::default, |cell| locked(&cell, |kept| kept.counts));
        counts.peek(policy, self.clock.now())
    }

    /// Starts from zero.
    pub fn forget(&self, scope: &'static str, subject: Subject, policy: Policy) {
        self.cells.remove(&Key { scope, window: policy.window, subject });
    }

    /// Gives back the memory of what has expired; entries held after that.
    pub fn tidy(&self) -> usize {
        let now = self.clock.now();
        // One that somebody holds is about to count, and would count for nothing if it went.
        self.cells.retain(|key, cell| {
            Arc::strong_count(cell) > 1
                || !locked(cell, |kept| kept.counts.is_spent(key.window, now))
        });
        self.cells.len()
    }
}

/// Counts are whole whenever the lock is free, also after a panic.
fn locked<R>(cell: &Mutex<Kept>, work: impl FnOnce(&mut Kept) -> R) -> R {
    work(&mut cell.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use crate::actors::limits::counter_store::*;

    const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

    /// Its window does not turn while a test runs.
    const POLICY: Policy = Policy { limit: 1, window: CENTURY };

    #[test]
    fn scopes_subjects_and_windows_do_not_share_counts() {
        let store = CounterStore::new(Clock::system());
        let ip = |text: &str| Subject::Network(text.parse::<IpAddr>().unwrap().into());
        assert!(store.hit("a", ip("192.0.2.1"), POLICY).allowed);
        assert!(!store.hit("a", ip("192.0.2.1"), POLICY).allowed);
        assert!(!store.hit("a", ip("::ffff:192.0.2.1"), POLICY).allowed);
        assert!(store.hit("b", ip("192.0.2.1"), POLICY).allowed);
        assert!(store.hit("a", ip("192.0.2.2"), POLICY).allowed);
        assert!(store.hit("a", Subject::All, POLICY).allowed);
        let longer = Policy { window: 2 * CENTURY, ..POLICY };
        assert!(store.hit("a", ip("192.0.2.1"), longer).allowed);
        store.forget("a", ip("192.0.2.1"), POLICY);
        assert!(store.hit("a", ip("192.0.2.1"), POLICY).allowed);
    }

    #[test]
    fn an_ipv6_client_cannot_escape_into_its_own_network() {
        let store = CounterStore::new(Clock::system());
        let ip = |text: &str| Subject::Network(text.parse::<IpAddr>().unwrap().into());
        assert!(store.hit("a", ip("2001:db8::1"), POLICY).allowed);
        assert!(!store.hit("a", ip("2001:db8::ffff:1"), POLICY).allowed);
        assert!(store.hit("a", ip("2001:db8:0:1::1"), POLICY).allowed);
    }

    #[test]
    fn looking_fills_nothing_and_a_flood_stays_bounded() {
        let store = CounterStore::new(Clock::system());
        store.peek("a", Subject::All, POLICY);
        assert_eq!(store.tidy(), 0);
        for n in 0..u32::try_from(CAPACITY).unwrap() + 5_000 {
            store.hit("a", Subject::Network(IpAddr::from(n.to_be_bytes()).into()), POLICY);
        }
        assert!(store.tidy() <= CAPACITY);
        // Who came last is counted: the flood pushes out itself.
        let last = IpAddr::from((u32::try_from(CAPACITY).unwrap() + 4_999).to_be_bytes());
        assert!(!store.hit("a", Subject::Network(last.into()), POLICY).allowed);
    }

    #[test]
    fn what_says_nothing_any_more_goes() {
        let clock = Clock::system();
        let store = CounterStore::new(clock.clone());
        let short = Policy { window: Duration::from_mins(1), ..POLICY };
        store.hit("a", Subject::All, POLICY);
        store.hit("a", Subject::All, short);
        assert_eq!(store.tidy(), 2);
        clock.advance(time::Duration::minutes(2));
        assert_eq!(store.tidy(), 1);
        assert!(!store.peek("a", Subject::All, POLICY).allowed);
    }

    #[test]
    fn a_count_that_is_about_to_be_made_is_not_lost_to_tidying() {
        let memory = CounterStore::new(Clock::system());
        // Nothing has been counted in it, so it looks spent.
        let (window, held) = (Duration::from_mins(1), Cell::default());
        let key = Key { scope: "a", window, subject: Subject::All };
        memory.cells.insert(key, Arc::clone(&held));
        assert_eq!(memory.tidy(), 1);
        drop(held);
        assert_eq!(memory.tidy(), 0);
    }

    #[test]
    fn others_hear_of_what_is_above_a_tenth_of_its_limit_once_until_it_was_told() {
        let store = CounterStore::shared(Clock::system());
        let policy = Policy { limit: 30, ..POLICY };
        let hit = |times: u32| {
            for _ in 0..times {
                store.hit("a", Subject::All, policy);
            }
        };
        hit(3);
        assert!(store.take_untold(9).is_empty());
        hit(2);
        let news = store.take_untold(9);
        assert_eq!(news.len(), 1);
        hit(1);
        assert!(store.take_untold(9).is_empty(), "it is still to be told");
        let (window, own) = news[0].tell();
        assert_eq!(own.current, 6);
        store.put_back(news);
        let news = store.take_untold(9);
        assert_eq!(news[0].tell().1.current, 6);
        news[0].learn([(window, Halves { current: 20, previous: 0 })].into_iter());
        assert_eq!(store.hit("a", Subject::All, policy).remaining, 3);
        assert_eq!(store.take_untold(9).len(), 1);
        let alone = CounterStore::new(Clock::system());
        for _ in 0..30 {
            alone.hit("a", Subject::All, policy);
        }
        assert!(alone.take_untold(9).is_empty());
    }

    #[tokio::test]
    async fn of_many_at_once_exactly_the_limit_passes() {
        let store = CounterStore::new(Clock::system());
        let policy = Policy { limit: 10, ..POLICY };
        let tries = (0..64).map(|_| {
            let store = store.clone();
            async move { store.hit("a", Subject::All, policy) }
        });
        let mut set: tokio::task::JoinSet<_> = tries.collect();
        let mut allowed = 0;
        while let Some(verdict) = set.join_next().await {
            allowed += usize::from(verdict.unwrap().allowed);
        }
        assert_eq!(allowed, 10);
    }
}
