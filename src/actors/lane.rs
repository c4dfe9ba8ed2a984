//! Group commit without a timer.
//!
//! A lane collects requests while one batch is under way and sends what has gathered as the next
//! one. Idle: one request, one statement, no added delay. Busy: the batch grows by itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ractor::RpcReplyPort;

use crate::metrics::LaneStats;

/// Requests that wait for the next batch, those with the same key together.
pub struct Lane<K, R> {
    waiting: HashMap<K, Vec<RpcReplyPort<R>>>,
    /// When the batch under way left.
    under_way: Option<Instant>,
    stats: Arc<LaneStats>,
}

/// The requests of one batch; dropping it unanswered fails them.
pub type Batch<K, R> = HashMap<K, Vec<RpcReplyPort<R>>>;

impl<K: Eq + Hash + Clone, R> Lane<K, R> {
    /// An idle lane, which keeps these figures.
    pub fn new(stats: Arc<LaneStats>) -> Self {
        stats.waiting.store(0, Ordering::Relaxed);
        Self { waiting: HashMap::new(), under_way: None, stats }
    }

    /// Adds a request to the next batch.
    pub fn push(&mut self, key: K, reply: RpcReplyPort<R>) {
        self.waiting.entry(key).or_default().push(reply);
        self.count_waiting();
    }

    /// The batch under way has ended.
    pub fn finished(&mut self) {
        if let Some(left) = self.under_way.take() {
            self.stats.ended(left.elapsed());
        }
    }

    /// Takes the next batch, of at most `batch_max` keys, if none is under way and somebody still
    /// waits.
    pub fn next_batch(&mut self, batch_max: usize) -> Option<Batch<K, R>> {
        if self.under_way.is_some() {
            return None;
        }
        // A caller that has given up needs no write; it will come again with the same key.
        self.waiting.retain(|_, replies| {
            replies.retain(|reply| !reply.is_closed());
            !replies.is_empty()
        });
        if self.waiting.is_empty() {
            self.count_waiting();
            return None;
        }
        self.under_way = Some(Instant::now());
        let batch = self.take(batch_max);
        self.stats.left(batch.len());
        self.count_waiting();
        Some(batch)
    }

    fn take(&mut self, batch_max: usize) -> Batch<K, R> {
        if self.waiting.len() <= batch_max {
            return std::mem::take(&mut self.waiting);
        }
        let keys: Vec<K> = self.waiting.keys().take(batch_max).cloned().collect();
        keys.into_iter().filter_map(|key| self.waiting.remove_entry(&key)).collect()
    }

    fn count_waiting(&self) {
        self.stats.waiting.store(self.waiting.len(), Ordering::Relaxed);
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use ractor::concurrency::oneshot;

    use super::*;
    use crate::metrics::ActorStats;

    fn lane() -> Lane<u8, u8> {
        Lane::new(ActorStats::default().lane("test"))
    }

    fn push(lane: &mut Lane<u8, u8>, key: u8) -> ractor::concurrency::OneshotReceiver<u8> {
        let (reply, answer) = oneshot();
        lane.push(key, reply.into());
        answer
    }

    #[test]
    fn what_arrives_during_a_batch_forms_the_next_one() {
        let mut lane = lane();
        let _first = push(&mut lane, 1);
        assert_eq!(lane.next_batch(10).unwrap().len(), 1);
        let (_a, _b) = (push(&mut lane, 2), push(&mut lane, 3));
        assert!(lane.next_batch(10).is_none());
        assert_eq!(lane.stats.waiting.load(Ordering::Relaxed), 2);
        lane.finished();
        assert_eq!(lane.next_batch(10).unwrap().len(), 2);
        assert_eq!(lane.stats.waiting.load(Ordering::Relaxed), 0);
        assert_eq!((lane.stats.sizes().count(), lane.stats.times().count()), (2, 1));
    }

    #[test]
    fn requests_with_one_key_share_a_row_of_the_statement() {
        let mut lane = lane();
        let (_a, _b) = (push(&mut lane, 1), push(&mut lane, 1));
        let batch = lane.next_batch(10).unwrap();
        assert_eq!(batch[&1].len(), 2);
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_forgotten() {
        let mut lane = lane();
        let _answers: Vec<_> = (0..5).map(|key| push(&mut lane, key)).collect();
        let mut sizes = Vec::new();
        while let Some(batch) = lane.next_batch(2) {
            sizes.push(batch.len());
            lane.finished();
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert!(lane.is_idle());
    }

    #[test]
    fn callers_that_gave_up_are_skipped() {
        let mut lane = lane();
        drop(push(&mut lane, 1));
        assert!(lane.next_batch(2).is_none());
    }
}
