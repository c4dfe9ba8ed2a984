//! At most one line a second about something that may happen very often.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts events between the lines that tell of them.
#[derive(Debug, Default)]
pub struct Pace {
    /// The second after that of the last line; 0 before the first one.
    next: AtomicU64,
    untold: AtomicU64,
}

impl Pace {
    /// Counts an event. Whoever is to write a line about it is told of how many events: this one and
    /// those since the last line.
    pub fn event(&self) -> Option<u64> {
        self.event_at(START.elapsed().as_secs())
    }

    fn event_at(&self, second: u64) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let next = self.next.load(Ordering::Relaxed);
        let is_mine = second >= next
            && self
                .next
                .compare_exchange(next, second + 1, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        is_mine.then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::pace::*;

    #[test]
    fn there_is_one_line_a_second_and_it_counts_them_all() {
        let pace = Pace::default();
        assert_eq!(pace.event_at(0), Some(1));
        assert_eq!((pace.event_at(0), pace.event_at(0)), (None, None));
        assert_eq!(pace.event_at(1), Some(3));
        assert_eq!(pace.event_at(7), Some(1));
        assert_eq!(pace.event_at(7), None);
    }
}
