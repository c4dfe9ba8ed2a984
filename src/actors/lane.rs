//! Group commit without a timer.
//!
//! A lane collects requests while one batch is under way and sends what has gathered as the next
//! one. Idle: one request, one statement, no added delay. Busy: the batch grows by itself.

use std::collections::HashMap;
use std::hash::Hash;

use ractor::RpcReplyPort;

/// Requests that wait for the next batch, those with the same key together.
pub struct Lane<K, R> {
    waiting: HashMap<K, Vec<RpcReplyPort<R>>>,
    under_way: bool,
    batch_max: usize,
}

/// The requests of one batch; dropping it unanswered fails them.
pub type Batch<K, R> = HashMap<K, Vec<RpcReplyPort<R>>>;

impl<K: Eq + Hash + Clone, R> Lane<K, R> {
    /// An idle lane whose statements take at most `batch_max` keys.
    pub fn new(batch_max: usize) -> Self {
        Self { waiting: HashMap::new(), under_way: false, batch_max }
    }

    /// Adds a request to the next batch.
    pub fn push(&mut self, key: K, reply: RpcReplyPort<R>) {
        self.waiting.entry(key).or_default().push(reply);
    }

    /// The batch under way has ended.
    pub fn finished(&mut self) {
        self.under_way = false;
    }

    /// Takes the next batch if none is under way and somebody still waits.
    pub fn next_batch(&mut self) -> Option<Batch<K, R>> {
        if self.under_way {
            return None;
        }
        // A caller that has given up needs no write; it will come again with the same key.
        self.waiting.retain(|_, replies| {
            replies.retain(|reply| !reply.is_closed());
            !replies.is_empty()
        });
        if self.waiting.is_empty() {
            return None;
        }
        self.under_way = true;
        if self.waiting.len() <= self.batch_max {
            return Some(std::mem::take(&mut self.waiting));
        }
        let keys: Vec<K> = self.waiting.keys().take(self.batch_max).cloned().collect();
        Some(keys.into_iter().filter_map(|key| self.waiting.remove_entry(&key)).collect())
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        !self.under_way && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use ractor::concurrency::oneshot;

    use super::*;

    fn push(lane: &mut Lane<u8, u8>, key: u8) -> ractor::concurrency::OneshotReceiver<u8> {
        let (reply, answer) = oneshot();
        lane.push(key, reply.into());
        answer
    }

    #[test]
    fn what_arrives_during_a_batch_forms_the_next_one() {
        let mut lane = Lane::new(10);
        let _first = push(&mut lane, 1);
        assert_eq!(lane.next_batch().unwrap().len(), 1);
        let (_a, _b) = (push(&mut lane, 2), push(&mut lane, 3));
        assert!(lane.next_batch().is_none());
        lane.finished();
        assert_eq!(lane.next_batch().unwrap().len(), 2);
    }

    #[test]
    fn requests_with_one_key_share_a_row_of_the_statement() {
        let mut lane = Lane::new(10);
        let (_a, _b) = (push(&mut lane, 1), push(&mut lane, 1));
        let batch = lane.next_batch().unwrap();
        assert_eq!(batch[&1].len(), 2);
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_forgotten() {
        let mut lane = Lane::new(2);
        let _answers: Vec<_> = (0..5).map(|key| push(&mut lane, key)).collect();
        let mut sizes = Vec::new();
        while let Some(batch) = lane.next_batch() {
            sizes.push(batch.len());
            lane.finished();
        }
        assert_eq!(sizes, [2, 2, 1]);
        assert!(lane.is_idle());
    }

    #[test]
    fn callers_that_gave_up_are_skipped() {
        let mut lane = Lane::new(2);
        drop(push(&mut lane, 1));
        assert!(lane.next_batch().is_none());
    }
}
