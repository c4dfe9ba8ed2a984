//! How much a batch takes on, and how long the housekeeping rests after it.

use std::time::Duration;

use crate::persistence::measured_pool::MeasuredPool;

/// What a batch should take: short beside the wait for a commit, long beside a round trip.
const AIM: Duration = Duration::from_millis(5);

/// Rest for each unit of work, so that the housekeeping has a twentieth of a connection at the most.
/// When Postgres has much to do a batch takes longer, and so does the rest.
const REST: u32 = 19;

/// Rests after one batch, at the most, while requests have all connections.
pub(super) const RESTS_WHEN_FULL: usize = 2;

/// Longest rest where a batch is little work for certain: if it took long it has waited, and rows have
/// to go faster than they come also while the machine has no moment to spare.
pub(super) const SHORT: Duration = Duration::from_millis(200);

/// Longest rest where a single row may be much work.
pub(super) const LONG: Duration = Duration::from_secs(10);

/// The rest after a batch that took so long.
pub(super) fn rest(worked: Duration, longest: Duration) -> Duration {
    (worked * REST).min(longest)
}

/// Whether requests have all connections.
pub(super) fn is_full(pool: &MeasuredPool) -> bool {
    let (open, idle) = pool.open_and_idle();
    idle == 0 && open >= pool.max_connections()
}

/// How much a batch takes on, by how long the last one took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) now: u32,
    least: u32,
    most: u32,
}

impl Size {
    /// Between these, but for what failed.
    pub(super) const fn new(least: u32, most: u32) -> Self {
        Self { now: least, least, most }
    }

    /// Halves what took too long, doubles what took little.
    pub(super) fn adapt(&mut self, worked: Duration) {
        if worked < AIM / 2 || self.now < self.least {
            self.now = self.now.saturating_mul(2).min(self.most);
        } else if worked > 2 * AIM {
            self.now = (self.now / 2).max(self.least);
        }
    }

    /// Takes on less than that failed, but not nothing.
    pub(super) fn below(&mut self, failed: u32) {
        self.now = (failed / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_to_take_about_as_long_as_they_should() {
        for row_us in [1, 8, 40, 900, 20_000_u64] {
            let mut size = Size::new(1, 1_000);
            let time = |size: Size| Duration::from_micros(u64::from(size.now) * row_us);
            for _ in 0..20 {
                size.adapt(time(size));
            }
            let is_right = (AIM / 2..=2 * AIM).contains(&time(size));
            assert!(is_right || size.now == 1 || size.now == 1_000, "{row_us}: {size:?}");
        }
    }
}
