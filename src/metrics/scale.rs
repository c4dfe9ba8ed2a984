//! The boundaries of histograms.

/// Where the buckets of a histogram end.
#[derive(Debug)]
pub struct Scale {
    /// Upper ends, inclusive, in the unit of the recorded values.
    pub bounds: &'static [u64],
    /// Those of `bounds` that are shown to Prometheus: fewer series, the same rounding.
    pub exposed: &'static [u64],
    /// Recorded units in one unit of the exposition.
    pub units: f64,
}

/// Times, recorded in nanoseconds and shown in seconds: 1, 1.5, 2, 3, 5 and 7 of each power of ten
/// from 1 µs to 10 s.
pub static TIMES: Scale = Scale { bounds: &TIME_BOUNDS, exposed: &TIME_EXPOSED, units: 1e9 };

/// Sizes: 1, 1.5 times as much, 2, 3, 4, 6, 8 and so on up to 16,384.
pub static SIZES: Scale = Scale { bounds: &SIZE_BOUNDS, exposed: &SIZE_EXPOSED, units: 1.0 };

const TIME_BOUNDS: [u64; 43] = {
    let steps = [1_000, 1_500, 2_000, 3_000, 5_000, 7_000];
    let mut bounds = [0; 43];
    let (mut at, mut power) = (0, 1);
    while at < bounds.len() {
        bounds[at] = steps[at % steps.len()] * power;
        at += 1;
        if at % steps.len() == 0 {
            power *= 10;
        }
    }
    bounds
};

const TIME_EXPOSED: [u64; 19] = {
    let steps = [10_000, 20_000, 50_000];
    let mut bounds = [0; 19];
    let (mut at, mut power) = (0, 1);
    while at < bounds.len() {
        bounds[at] = steps[at % steps.len()] * power;
        at += 1;
        if at % steps.len() == 0 {
            power *= 10;
        }
    }
    bounds
};

const SIZE_BOUNDS: [u64; 28] = {
    let mut bounds = [1; 28];
    let (mut at, mut power) = (1, 2);
    while at < bounds.len() {
        bounds[at] = power;
        if at + 1 < bounds.len() {
            bounds[at + 1] = power + power / 2;
        }
        at += 2;
        power *= 2;
    }
    bounds
};

const SIZE_EXPOSED: [u64; 15] = {
    let mut bounds = [1; 15];
    let mut at = 1;
    while at < bounds.len() {
        bounds[at] = bounds[at - 1] * 2;
        at += 1;
    }
    bounds
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_grow_and_those_that_are_shown_are_among_them() {
        for scale in [&TIMES, &SIZES] {
            for bounds in [scale.bounds, scale.exposed] {
                assert!(bounds.is_sorted_by(|a, b| a < b), "{bounds:?}");
            }
            assert!(scale.exposed.iter().all(|bound| scale.bounds.contains(bound)), "{scale:?}");
            assert_eq!(scale.bounds.last(), scale.exposed.last());
        }
        assert_eq!(TIMES.bounds[0], 1_000);
        assert_eq!(TIMES.exposed[18], 10_000_000_000);
        assert_eq!(SIZES.bounds[..7], [1, 2, 3, 4, 6, 8, 12]);
        assert_eq!(SIZES.exposed[14], 16_384);
    }
}
