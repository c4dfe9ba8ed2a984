//! A number that only grows, spread over cache lines so that threads do not wait for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Copies of each number. More would cost memory, and few machines run more worker threads that do
/// nothing but count.
pub(super) const STRIPES: usize = 4;

/// One number on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU64);

/// Counts events; reading sums up and may miss the most recent ones.
#[derive(Debug, Default)]
pub struct Counter {
    lines: [Line; STRIPES],
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        self.lines[stripe()].0.fetch_add(count, Ordering::Relaxed);
    }

    /// All so far.
    pub fn get(&self) -> u64 {
        self.lines.iter().map(|line| line.0.load(Ordering::Relaxed)).sum()
    }
}

/// The copy that this thread writes to.
pub(super) fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|cell| {
        if cell.get() == usize::MAX {
            cell.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        cell.get()
    })
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_count_at_once_lose_nothing() {
        let counter = Counter::default();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.increment();
                    }
                });
            }
        });
        counter.add(2);
        assert_eq!(counter.get(), 8_002);
    }
}
