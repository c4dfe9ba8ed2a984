//! Metrics of one actor, of all its incarnations, and of the caches beside it.

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::{Counter, Histogram, Snapshot};

/// Messages that one incarnation has not taken yet. A queue ends with its incarnation, so that what
/// is lost in a restart is not counted for ever.
#[derive(Debug, Default)]
pub struct Queue(AtomicIsize);

impl Queue {
    /// A message is about to be sent.
    pub fn put(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A message is being handled, or was not accepted.
    pub fn take(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Messages in it.
    pub fn depth(&self) -> usize {
        usize::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// Of one actor.
#[derive(Debug)]
pub struct ActorStats {
    queue: ArcSwap<Queue>,
    /// Calls that were sent and have no reply yet.
    pub in_flight: AtomicUsize,
    limit: AtomicUsize,
    /// Calls turned away because of the limit.
    pub refused: Counter,
    /// Calls without a reply within their deadline.
    pub timed_out: Counter,
    /// How long its handler took for a message.
    pub handler: Histogram,
    /// Milliseconds for which it let work wait on purpose.
    pub paused_ms: Counter,
    /// Tasks beside its handler that panicked.
    pub task_panics: Counter,
    /// Tasks that are to panic next (fault tests).
    task_faults: AtomicUsize,
    batchers: Mutex<Vec<Arc<BatcherStats>>>,
}

impl Default for ActorStats {
    fn default() -> Self {
        Self {
            queue: ArcSwap::default(),
            in_flight: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
            refused: Counter::default(),
            timed_out: Counter::default(),
            handler: Histogram::times(),
            paused_ms: Counter::default(),
            task_panics: Counter::default(),
            task_faults: AtomicUsize::new(0),
            batchers: Mutex::default(),
        }
    }
}

impl ActorStats {
    /// A new incarnation has this mailbox.
    pub fn use_queue(&self, queue: Arc<Queue>) {
        self.queue.store(queue);
    }

    /// Messages of callers that the live incarnation has not taken yet.
    pub fn queued(&self) -> usize {
        self.queue.load().depth()
    }

    /// Lets the next task panic (fault tests).
    pub fn fail_next_task(&self) {
        self.task_faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether this task is to panic.
    pub fn takes_task_fault(&self) -> bool {
        let take = |faults: usize| faults.checked_sub(1);
        self.task_faults.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Most calls in flight; `None` if nobody calls this actor.
    pub fn limit(&self) -> Option<usize> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != usize::MAX)
    }

    /// Sets the most calls in flight.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// The metrics of one of its batchers, which survive its restarts.
    pub fn batcher(&self, name: &'static str) -> Arc<BatcherStats> {
        let mut batchers = self.batchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batcher) = batchers.iter().find(|batcher| batcher.name == name) {
            return Arc::clone(batcher);
        }
        let batcher = Arc::new(BatcherStats::new(name));
        batchers.push(Arc::clone(&batcher));
        batcher
    }

    /// All its batchers.
    pub fn batchers(&self) -> Vec<Arc<BatcherStats>> {
        self.batchers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Of one batcher: requests that share statements.
#[derive(Debug)]
pub struct BatcherStats {
    pub name: &'static str,
    /// Keys that wait for the next batch.
    pub waiting: AtomicUsize,
    size: Histogram,
    under_way: Histogram,
}

impl BatcherStats {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            waiting: AtomicUsize::new(0),
            size: Histogram::sizes(),
            under_way: Histogram::times(),
        }
    }

    /// A batch of this many keys leaves.
    pub fn left(&self, size: usize) {
        self.size.record(u64::try_from(size).unwrap_or(u64::MAX >> 8));
    }

    /// A batch that left so long ago has ended.
    pub fn ended(&self, after: Duration) {
        self.under_way.record_time(after);
    }

    /// Keys of each batch.
    pub fn sizes(&self) -> Snapshot {
        self.size.snapshot()
    }

    /// From leaving to ending.
    pub fn times(&self) -> Snapshot {
        self.under_way.snapshot()
    }
}

/// Of one cache.
#[derive(Debug, Default)]
pub struct CacheStats {
    pub hits: Counter,
    pub misses: Counter,
}

impl CacheStats {
    /// Counts a look into the cache; hands through what came of it.
    pub fn note<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_some() {
            self.hits.increment();
        } else {
            self.misses.increment();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batcher_is_the_same_for_every_incarnation() {
        let stats = ActorStats::default();
        stats.batcher("rotate").left(3);
        stats.batcher("rotate").left(5);
        stats.batcher("find").left(1);
        assert_eq!(stats.batchers().len(), 2);
        assert_eq!(stats.batcher("rotate").sizes().count(), 2);
    }

    #[test]
    fn a_new_incarnation_begins_with_an_empty_queue() {
        let stats = ActorStats::default();
        let old = Arc::new(Queue::default());
        stats.use_queue(Arc::clone(&old));
        old.put();
        assert_eq!(stats.queued(), 1);
        stats.use_queue(Arc::default());
        assert_eq!(stats.queued(), 0);
        old.take();
        assert_eq!(stats.queued(), 0);
    }
}
