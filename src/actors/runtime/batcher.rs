//! Group commit without a timer.
//!
//! A batcher collects requests while one batch is under way and sends what has gathered as the next
//! one. Idle: one request, one statement, no added delay. Busy: the batch grows by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use ractor::RpcReplyPort;

use super::isolate::Outcome;
use crate::metrics::BatcherStats;

/// Requests that wait for the next batch, in the order in which they came.
pub struct Batcher<K, R> {
    waiting: Vec<(K, RpcReplyPort<R>)>,
    /// When the batch under way left.
    under_way: Option<Instant>,
    stats: Arc<BatcherStats>,
}

impl<K: Ord, R> Batcher<K, R> {
    /// An idle batcher, which keeps these metrics.
    pub fn new(stats: Arc<BatcherStats>) -> Self {
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

/// The requests of one batch in the order of their keys; dropping it without a reply fails them.
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

    /// The requests, in the order of their keys, for who replies to each of them apart.
    pub fn into_requests(self) -> Vec<(K, RpcReplyPort<R>)> {
        self.requests
    }

    /// Replies to every request, in the order of their keys.
    pub fn respond(self, mut with: impl FnMut(&K) -> R) {
        for (key, reply) in self.requests {
            // The caller may have given up.
            let _ = reply.send(with(&key));
        }
    }
}

impl<K: Ord, R> Batch<K, R> {
    /// Takes out the requests with these keys, which are in ascending order.
    #[must_use]
    pub fn take_out(&mut self, keys: &[K]) -> Vec<(K, RpcReplyPort<R>)> {
        if keys.is_empty() {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.requests);
        let (taken, left) = all.into_iter().partition(|(key, _)| keys.binary_search(key).is_ok());
        self.requests = left;
        taken
    }
}

impl<K: Ord, X> Batch<K, Result<X, Arc<sqlx::Error>>> {
    /// Replies to every request with what came of its key; of `None` if that was not found.
    pub fn respond_from<T: Clone>(
        self,
        outcome: Outcome<K, T>,
        mut with: impl FnMut(Option<T>) -> X,
    ) {
        let Outcome { mut found, mut failed } = outcome;
        found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        failed.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut at = 0;
        self.respond(|key| {
            if let Ok(at) = failed.binary_search_by(|(failed, _)| failed.cmp(key)) {
                return Err(Arc::clone(&failed[at].1));
            }
            // Both are in the order of the keys.
            while found.get(at).is_some_and(|(found, _)| found < key) {
                at += 1;
            }
            let value = found.get(at).filter(|(found, _)| found == key).map(|(_, value)| value);
            Ok(with(value.cloned()))
        });
    }
}

#[cfg(test)]
mod tests {
    use ractor::concurrency::oneshot;

    use crate::actors::runtime::batcher::*;
    use crate::metrics::ActorStats;

    fn batcher() -> Batcher<u8, u8> {
        Batcher::new(ActorStats::default().batcher("test"))
    }

    fn push(batcher: &mut Batcher<u8, u8>, key: u8) -> ractor::concurrency::OneshotReceiver<u8> {
        let (reply, response) = oneshot();
        batcher.push(key, reply.into());
        response
    }

    fn keys(batcher: &mut Batcher<u8, u8>) -> Vec<u8> {
        batcher.next_batch(10).unwrap().keys().copied().collect()
    }

    #[test]
    fn what_arrives_during_a_batch_forms_the_next_one() {
        let mut batcher = batcher();
        let _first = push(&mut batcher, 1);
        assert_eq!(keys(&mut batcher), [1]);
        let (_a, _b) = (push(&mut batcher, 3), push(&mut batcher, 2));
        assert!(batcher.next_batch(10).is_none());
        assert_eq!(batcher.stats.waiting.load(Ordering::Relaxed), 2);
        batcher.finished();
        assert_eq!(keys(&mut batcher), [2, 3]);
        assert_eq!(batcher.stats.waiting.load(Ordering::Relaxed), 0);
        assert_eq!((batcher.stats.sizes().count(), batcher.stats.times().count()), (2, 1));
    }

    #[test]
    fn requests_with_one_key_share_a_row_of_the_statement() {
        let mut batcher = batcher();
        let mut responses = [push(&mut batcher, 1), push(&mut batcher, 2), push(&mut batcher, 1)];
        let batch = batcher.next_batch(10).unwrap();
        assert_eq!(batch.keys().copied().collect::<Vec<_>>(), [1, 2]);
        batch.respond(|key| key * 10);
        let responses: Vec<u8> =
            responses.iter_mut().map(|response| response.try_recv().unwrap()).collect();
        assert_eq!(responses, [10, 20, 10]);
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_forgotten() {
        let mut batcher = batcher();
        let _responses: Vec<_> = (0..5).map(|key| push(&mut batcher, key)).collect();
        let mut sizes = Vec::new();
        while let Some(batch) = batcher.next_batch(2) {
            sizes.push(batch.keys().count());
            batcher.finished();
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert!(batcher.is_idle());
    }

    #[test]
    fn callers_that_gave_up_are_skipped() {
        let mut batcher = batcher();
        drop(push(&mut batcher, 1));
        assert!(batcher.next_batch(2).is_none());
    }
}
