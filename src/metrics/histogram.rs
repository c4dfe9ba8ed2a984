//! How values are distributed.
//!
//! Of our own because prometheus-client's takes a lock for every value, and hdrhistogram needs one
//! around it; values are recorded for every request and every message.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counter::{STRIPES, stripe};
use super::scale::{SIZES, Scale, TIMES};

/// Counts values by bucket.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    stripes: [Stripe; STRIPES],
}

#[derive(Debug)]
#[repr(align(64))]
struct Stripe {
    sum: AtomicU64,
    /// One for each bound, and one for what is above the last.
    buckets: Box<[AtomicU64]>,
}

impl Histogram {
    /// For [`Histogram::record_time`].
    pub fn times() -> Self {
        Self::new(&TIMES)
    }

    /// For [`Histogram::record`].
    pub fn sizes() -> Self {
        Self::new(&SIZES)
    }

    fn new(scale: &'static Scale) -> Self {
        let stripes = std::array::from_fn(|_| Stripe {
            sum: AtomicU64::new(0),
            buckets: (0..=scale.bounds.len()).map(|_| AtomicU64::new(0)).collect(),
        });
        Self { scale, stripes }
    }

    /// One value, in the unit of the scale.
    pub fn record(&self, value: u64) {
        let bucket = self.scale.bounds.partition_point(|bound| *bound < value);
        let stripe = &self.stripes[stripe()];
        stripe.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        stripe.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// One duration.
    pub fn record_time(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX >> 8));
    }

    /// What has been recorded so far.
    pub fn snapshot(&self) -> Snapshot {
        let mut counts = vec![0; self.scale.bounds.len() + 1];
        let mut sum = 0_u64;
        for stripe in &self.stripes {
            for (count, bucket) in counts.iter_mut().zip(&stripe.buckets) {
                *count += bucket.load(Ordering::Relaxed);
            }
            sum = sum.wrapping_add(stripe.sum.load(Ordering::Relaxed));
        }
        Snapshot { scale: self.scale, counts, sum }
    }
}

/// A histogram at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    scale: &'static Scale,
    counts: Vec<u64>,
    sum: u64,
}

impl Snapshot {
    /// What has been recorded since an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self {
            scale: self.scale,
            counts: pairs.map(|(now, then)| now.saturating_sub(*then)).collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
        }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All values together, in the unit of the exposition.
    #[expect(clippy::cast_precision_loss, reason = "a sum for people and graphs")]
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.scale.units
    }

    /// The average, in the unit of the exposition.
    #[expect(clippy::cast_precision_loss, reason = "an average for people")]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum() / count as f64)
    }

    /// The value below which the part `q` of all values lies, interpolated within its bucket, in the
    /// unit of the exposition. Above the last bound it is the last bound.
    #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q * count as f64;
        let mut below = 0;
        for (index, in_bucket) in self.counts.iter().enumerate() {
            if *in_bucket > 0 && (below + in_bucket) as f64 >= rank {
                let low = index.checked_sub(1).map_or(0, |index| self.scale.bounds[index]) as f64;
                let Some(high) = self.scale.bounds.get(index) else {
                    return Some(low / self.scale.units);
                };
                let part = ((rank - below as f64) / *in_bucket as f64).clamp(0.0, 1.0);
                return Some((low + (*high as f64 - low) * part) / self.scale.units);
            }
            below += in_bucket;
        }
        None
    }

    /// Upper ends and counts of the buckets that Prometheus is shown, not added up; the last end is
    /// infinite.
    #[expect(clippy::cast_precision_loss, reason = "bounds are round numbers")]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let mut buckets = Vec::with_capacity(self.scale.exposed.len() + 1);
        let mut from = 0;
        for bound in self.scale.exposed {
            let to = self.scale.bounds.partition_point(|other| other <= bound);
            let count = self.counts[from..to].iter().sum();
            buckets.push((*bound as f64 / self.scale.units, count));
            from = to;
        }
        buckets.push((f64::INFINITY, self.counts[from..].iter().sum()));
        buckets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_bucket_that_ends_at_or_above_them() {
        let sizes = Histogram::sizes();
        for value in [0, 1, 2, 3, 16_384, 16_385] {
            sizes.record(value);
        }
        let buckets = sizes.snapshot().buckets();
        assert_eq!(buckets[..3], [(1.0, 2), (2.0, 1), (4.0, 1)]);
        assert_eq!(buckets[14..], [(16_384.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(sizes.snapshot().count(), 6);
        assert!((sizes.snapshot().sum() - 32_775.0).abs() < 1e-9);
    }

    #[test]
    fn quantiles_are_close_and_the_mean_exact() {
        let times = Histogram::times();
        assert_eq!((times.snapshot().quantile(0.5), times.snapshot().mean()), (None, None));
        for micros in 1..=1_000 {
            times.record_time(Duration::from_micros(micros));
        }
        let snapshot = times.snapshot();
        for (q, seconds) in [(0.5, 500e-6), (0.9, 900e-6), (0.99, 990e-6)] {
            let seen = snapshot.quantile(q).unwrap();
            assert!((seen / seconds - 1.0).abs() < 0.1, "{q}: {seen}");
        }
        assert!((snapshot.mean().unwrap() - 500.5e-6).abs() < 1e-9);
    }

    #[test]
    fn what_came_since_an_earlier_reading_stands_alone() {
        let times = Histogram::times();
        times.record_time(Duration::from_secs(1));
        let earlier = times.snapshot();
        times.record_time(Duration::from_millis(1));
        let since = times.snapshot().since(&earlier);
        assert_eq!(since.count(), 1);
        assert!(since.quantile(0.99).unwrap() < 0.002 && (since.sum() - 0.001).abs() < 1e-9);
    }

    #[test]
    fn what_is_longer_than_all_bounds_counts_as_the_last_one() {
        let times = Histogram::times();
        times.record_time(Duration::from_mins(1));
        assert!((times.snapshot().quantile(0.99).unwrap() - 10.0).abs() < 1e-9);
        assert_eq!(times.snapshot().buckets().last(), Some(&(f64::INFINITY, 1)));
    }
}
