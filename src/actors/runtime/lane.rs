//! Group commit without a timer.
//!
//! A lane collects requests while one batch is under way and sends what has gathered as the next
//! one. Idle: one request, one statement, no added delay. Busy: the batch grows by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ractor::RpcReplyPort;

use crate::metrics::LaneStats;

/// Requests that wait for the next batch, in the order in which they came.
pub struct Lane<K, R> {
    waiting: Vec<(K, RpcReplyPort<R>)>,
    /// When the batch under way left.
    under_way: Option<Instant>,
    stats: Arc<LaneStats>,
}

impl<K: Ord, R> Lane<K, R> {
    /// An idle lane, which keeps these figures.
    pub fn new(stats: Arc<LaneStats>) -> Self {
        stats.waiting.store(0, Ordering::Relaxed);
        Self { waiting: Vec::new(), under_way: None, stats }
    }

    /// Adds a request to the next batch.
    pub fn push(&mut self, key: K, reply: RpcReplyPort<R>) {
        self.waiting.push((key, reply));
        self.count_waiting();
    }

    /// The batch under way has ended.
    pub fn finished(&mut self) {
        if let Some(left) = self.under_way.take() {
            self.stats.ended(left.elapsed());
        }
    }

    /// Takes the next batch, of at most `batch_max` requests, if none is under way and somebody still
    /// waits.
    pub fn next_batch(&mut self, batch_max: usize) -> Option<Batch<K, R>> {
        if self.under_way.is_some() {
            return None;
        }
        // A caller that has given up needs no write; it will come again with the same key.
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        if self.waiting.is_empty() {
            self.count_waiting();
            return None;
        }
        self.under_way = Some(Instant::now());
        let later = self.waiting.split_off(batch_max.min(self.waiting.len()));
        let batch = Batch::new(std::mem::replace(&mut self.waiting, later));
        self.stats.left(batch.requests.len());
        self.count_waiting();
        Some(batch)
    }

    fn count_waiting(&self) {
        self.stats.waiting.store(self.waiting.len(), Ordering::Relaxed);
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.waiting.is_empty()
    }
}

/// The requests of one batch in the order of their keys; dropping it unanswered fails them.
pub struct Batch<K, R> {
    requests: Vec<(K, RpcReplyPort<R>)>,
}

impl<K: Ord, R> Batch<K, R> {
    fn new(mut requests: Vec<(K, RpcReplyPort<R>)>) -> Self {
        requests.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self { requests }
    }

    /// Every key once, in ascending order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.requests.chunk_by(|(one, _), (other, _)| one == other).map(|same| &same[0].0)
    }

    /// Answers every request, in the order of their keys.
    pub fn answer(self, mut with: impl FnMut(&K) -> R) {
        for (key, reply) in self.requests {
            // The caller may have given up.
            let _ = reply.send(with(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use ractor::concurrency::oneshot;

    use crate::actors::runtime::lane::*;
    use crate::metrics::ActorStats;

    fn lane() -> Lane<u8, u8> {
        Lane::new(ActorStats::default().lane("test"))
    }

    fn push(lane: &mut Lane<u8, u8>, key: u8) -> ractor::concurrency::OneshotReceiver<u8> {
        let (reply, answer) = oneshot();
        lane.push(key, reply.into());
        answer
    }

    fn keys(lane: &mut Lane<u8, u8>) -> Vec<u8> {
        lane.next_batch(10).unwrap().keys().copied().collect()
    }

    #[test]
    fn what_arrives_during_a_batch_forms_the_next_one() {
        let mut lane = lane();
        let _first = push(&mut lane, 1);
        assert_eq!(keys(&mut lane), [1]);
        let (_a, _b) = (push(&mut lane, 3), push(&mut lane, 2));
        assert!(lane.next_batch(10).is_none());
        assert_eq!(lane.stats.waiting.load(Ordering::Relaxed), 2);
        lane.finished();
        assert_eq!(keys(&mut lane), [2, 3]);
        assert_eq!(lane.stats.waiting.load(Ordering::Relaxed), 0);
        assert_eq!((lane.stats.sizes().count(), lane.stats.times().count()), (2, 1));
    }

    #[test]
    fn requests_with_one_key_share_a_row_of_the_statement() {
        let mut lane = lane();
        let mut answers = [push(&mut lane, 1), push(&mut lane, 2), push(&mut lane, 1)];
        let batch = lane.next_batch(10).unwrap();
        assert_eq!(batch.keys().copied().collect::<Vec<_>>(), [1, 2]);
        batch.answer(|key| key * 10);
        let answers: Vec<u8> =
            answers.iter_mut().map(|answer| answer.try_recv().unwrap()).collect();
        assert_eq!(answers, [10, 20, 10]);
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_forgotten() {
        let mut lane = lane();
        let _answers: Vec<_> = (0..5).map(|key| push(&mut lane, key)).collect();
        let mut sizes = Vec::new();
        while let Some(batch) = lane.next_batch(2) {
            sizes.push(batch.keys().count());
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
