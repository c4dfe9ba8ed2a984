//! Group commit without a timer.
//!
//! A lane collects requests while one batch is under way and sends what has gathered as the next
//! one. Idle: one request, one statement, no added delay. Busy: the batch grows by itself.

use ractor::RpcReplyPort;

/// Requests that wait for the next batch, in the order in which they came.
pub struct Lane<K, R> {
    waiting: Vec<(K, RpcReplyPort<R>)>,
    under_way: bool,
    batch_max: usize,
}

impl<K: Ord, R> Lane<K, R> {
    /// An idle lane whose batches take at most `batch_max` requests.
    pub fn new(batch_max: usize) -> Self {
        Self { waiting: Vec::new(), under_way: false, batch_max }
    }

    /// Adds a request to the next batch.
    pub fn push(&mut self, key: K, reply: RpcReplyPort<R>) {
        self.waiting.push((key, reply));
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
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        if self.waiting.is_empty() {
            return None;
        }
        self.under_way = true;
        let later = self.waiting.split_off(self.batch_max.min(self.waiting.len()));
        Some(Batch::new(std::mem::replace(&mut self.waiting, later)))
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_idle(&self) -> bool {
        !self.under_way && self.waiting.is_empty()
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

    use super::*;

    fn push(lane: &mut Lane<u8, u8>, key: u8) -> ractor::concurrency::OneshotReceiver<u8> {
        let (reply, answer) = oneshot();
        lane.push(key, reply.into());
        answer
    }

    fn keys(lane: &mut Lane<u8, u8>) -> Vec<u8> {
        lane.next_batch().unwrap().keys().copied().collect()
    }

    #[test]
    fn what_arrives_during_a_batch_forms_the_next_one() {
        let mut lane = Lane::new(10);
        let _first = push(&mut lane, 1);
        assert_eq!(keys(&mut lane), [1]);
        let (_a, _b) = (push(&mut lane, 3), push(&mut lane, 2));
        assert!(lane.next_batch().is_none());
        lane.finished();
        assert_eq!(keys(&mut lane), [2, 3]);
    }

    #[test]
    fn requests_with_one_key_share_a_row_of_the_statement() {
        let mut lane = Lane::new(10);
        let mut answers = [push(&mut lane, 1), push(&mut lane, 2), push(&mut lane, 1)];
        let batch = lane.next_batch().unwrap();
        assert_eq!(batch.keys().copied().collect::<Vec<_>>(), [1, 2]);
        batch.answer(|key| key * 10);
        let answers: Vec<u8> =
            answers.iter_mut().map(|answer| answer.try_recv().unwrap()).collect();
        assert_eq!(answers, [10, 20, 10]);
    }

    #[test]
    fn a_batch_is_bounded_and_nothing_is_forgotten() {
        let mut lane = Lane::new(2);
        let _answers: Vec<_> = (0..5).map(|key| push(&mut lane, key)).collect();
        let mut sizes = Vec::new();
        while let Some(batch) = lane.next_batch() {
            sizes.push(batch.keys().count());
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
