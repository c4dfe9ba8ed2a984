//! How often something may happen: a sliding window made of two counters.
//!
//! The count of the window before is taken in proportion to how much of it a window that ends now
//! would still cover, so that a limit cannot be used twice around the turn of a window.

use std::time::Duration;

use time::OffsetDateTime;

/// So many times in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// 0 allows nothing.
    pub limit: u32,
    /// At least a millisecond.
    pub window: Duration,
}

/// What a counter says about one more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub allowed: bool,
    /// Times that are left after this one.
    pub remaining: u32,
    /// If allowed, until the window ends; if not, until one more is allowed.
    pub reset: Duration,
}

/// What was counted in a window and in the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    pub current: u32,
    pub previous: u32,
}

impl Halves {
    /// Of so many windows later.
    const fn later(self, windows: u64) -> Self {
        match windows {
            0 => self,
            1 => Self { current: 0, previous: self.current },
            _ => Self { current: 0, previous: 0 },
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            current: self.current.saturating_add(other.current),
            previous: self.previous.saturating_add(other.previous),
        }
    }
}

/// The two counters of one key, for one length of window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of the window that the current half belongs to, counted from the epoch.
    window: u64,
    own: Halves,
    /// What other nodes have counted, as far as that is known.
    others: Halves,
}

impl Counts {
    /// As they stand elsewhere.
    pub const fn of(window: u64, own: Halves) -> Self {
        Self { window, own, others: Halves { current: 0, previous: 0 } }
    }

    /// What was counted here, with the number of its window.
    #[must_use]
    pub const fn own(self) -> (u64, Halves) {
        (self.window, self.own)
    }

    /// Takes over what each other node has counted in a window of its own.
    pub fn learn(&mut self, others: impl Iterator<Item = (u64, Halves)>) {
        let seen = others.map(|(window, halves)| match window.checked_sub(self.window) {
            None => halves.later(self.window - window),
            Some(0) => halves,
            // Its clock is ahead: all of this is now or has just been.
            Some(_) => {
                Halves { current: halves.current.saturating_add(halves.previous), previous: 0 }
            }
        });
        self.others = seen.fold(Halves::default(), Halves::plus);
    }

    /// Whether this node alone has counted more than a tenth of the limit.
    #[must_use]
    pub fn is_above_a_tenth(self, policy: Policy) -> bool {
        u64::from(self.own.current) * 10 > u64::from(policy.limit)
    }

    /// Whether one more would be allowed now; counts nothing.
    #[must_use]
    pub fn peek(mut self, policy: Policy, now: OffsetDateTime) -> Verdict {
        let rest = self.move_to(policy, now);
        self.decide(policy, rest)
    }

    /// Counts one more if it is allowed; a refused one does not count.
    pub fn hit(&mut self, policy: Policy, now: OffsetDateTime) -> Verdict {
        let rest = self.move_to(policy, now);
        let verdict = self.decide(policy, rest);
        if verdict.allowed {
            self.own.current = self.own.current.saturating_add(1);
        }
        verdict
    }

    /// Whether nothing that was counted in windows of this length matters any more.
    #[must_use]
    pub fn is_spent(self, window: Duration, now: OffsetDateTime) -> bool {
        since_epoch(now) / length_of(window) > self.window + 1
    }

    /// Brings the counters to the window of `now`; returns the milliseconds left of it.
    fn move_to(&mut self, policy: Policy, now: OffsetDateTime) -> u64 {
        let length = length_of(policy.window);
        let now = since_epoch(now);
        let window = now / length;
        if window < self.window {
            // The clock was set back: what was counted keeps counting.
            return length;
        }
        let windows = window - self.window;
        self.own = self.own.later(windows);
        self.others = self.others.later(windows);
        self.window = window;
        length - now % length
    }

    fn decide(self, policy: Policy, rest: u64) -> Verdict {
        let (limit, length) = (u128::from(policy.limit), u128::from(length_of(policy.window)));
        let all = self.own.plus(self.others);
        let (current, rest) = (u128::from(all.current), u128::from(rest));
        let previous = u128::from(all.previous).min(limit);
        let used = previous * rest / length + current;
        if used < limit {
            let remaining = u32::try_from(limit - used - 1).unwrap_or(u32::MAX);
            return Verdict { allowed: true, remaining, reset: millis(rest) };
        }
        let wait = if current >= limit {
            // A millisecond into the next window, all of this one no longer counts.
            rest + 1
        } else {
            // The old window's share must fall below what is left: previous * rest < left * length.
            let left = limit - current;
            rest - (left * length - 1) / previous
        };
        Verdict { allowed: false, remaining: 0, reset: millis(wait) }
    }
}

/// Milliseconds of a window.
fn length_of(window: Duration) -> u64 {
    u64::try_from(window.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Milliseconds since the epoch.
fn since_epoch(time: OffsetDateTime) -> u64 {
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

fn millis(count: u128) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(ms: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(START).unwrap() + time::Duration::milliseconds(ms)
    }

    fn policy(limit: u32, seconds: u64) -> Policy {
        Policy { limit, window: Duration::from_secs(seconds) }
    }

    fn allowed(counts: &mut Counts, policy: Policy, ms: i64, tries: usize) -> usize {
        (0..tries).filter(|_| counts.hit(policy, at(ms)).allowed).count()
    }

    #[test]
    fn the_window_before_counts_in_proportion() {
        let (mut counts, policy) = (Counts::default(), policy(10, 60));
        assert_eq!(allowed(&mut counts, policy, 59_000, 20), 10);
        // A quarter into the next window, floor(10 * 0.75) = 7 of the ten still count.
        assert_eq!(allowed(&mut counts, policy, 75_000, 20), 3);
        assert_eq!(allowed(&mut counts, policy, 240_000, 20), 10);
    }

    #[test]
    fn calls_that_never_stop_get_what_the_limit_gives() {
        let (mut counts, policy) = (Counts::default(), policy(5, 1));
        let calls = (0..18).flat_map(|round| [round * 200; 3]);
        let allowed = calls.filter(|ms| counts.hit(policy, at(*ms)).allowed).count();
        assert!((15..=24).contains(&allowed), "{allowed}");
    }

    #[test]
    fn a_refusal_says_exactly_when_to_come_back() {
        for (limit, first, then) in [(10, 59_000, 75_000), (10, 0, 30_000), (1, 59_999, 60_000)] {
            let (mut counts, policy) = (Counts::default(), policy(limit, 60));
            allowed(&mut counts, policy, first, 20);
            allowed(&mut counts, policy, then, 20);
            let refused = counts.peek(policy, at(then));
            assert!(!refused.allowed);
            let wait = i64::try_from(refused.reset.as_millis()).unwrap();
            assert!(!counts.peek(policy, at(then + wait - 1)).allowed, "{limit} {wait}");
            assert!(counts.peek(policy, at(then + wait)).allowed, "{limit} {wait}");
        }
    }

    #[test]
    fn what_remains_counts_down_and_peeking_does_not() {
        let (mut counts, policy) = (Counts::default(), policy(3, 60));
        assert_eq!(counts.peek(policy, at(0)).remaining, 2);
        let seen: Vec<_> = (0..4).map(|_| counts.hit(policy, at(15_000))).collect();
        assert_eq!(seen.iter().map(|v| v.remaining).collect::<Vec<_>>(), [2, 1, 0, 0]);
        assert_eq!(seen.iter().map(|v| v.allowed).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(seen[0].reset, Duration::from_secs(45));
    }

    #[test]
    fn what_others_counted_counts_with_ones_own_and_slides_with_it() {
        let (mut counts, policy) = (Counts::default(), policy(10, 60));
        assert_eq!(allowed(&mut counts, policy, 0, 3), 3);
        let (window, own) = counts.own();
        assert_eq!(own, Halves { current: 3, previous: 0 });
        let halves = |current, previous| Halves { current, previous };
        counts.learn(
            [(window, halves(2, 8)), (window - 1, halves(4, 9)), (0, halves(9, 9))].into_iter(),
        );
        assert_eq!(counts.others, halves(2, 12));
        counts.learn([(window + 1, halves(1, 2))].into_iter());
        assert_eq!(counts.others, halves(3, 0), "a clock that is ahead hides nothing");
        assert_eq!(counts.peek(policy, at(0)).remaining, 3);
        assert_eq!(allowed(&mut counts, policy, 0, 20), 4);
        // A quarter into the next window.
        assert_eq!(allowed(&mut counts, policy, 75_000, 20), 3);
    }

    #[test]
    fn a_tenth_of_the_limit_is_not_above_it() {
        for (limit, most) in [(100, 10), (10, 1), (9, 0), (1, 0)] {
            let (mut counts, policy) = (Counts::default(), policy(limit, 60));
            allowed(&mut counts, policy, 0, most);
            assert!(!counts.is_above_a_tenth(policy), "{limit}");
            allowed(&mut counts, policy, 0, 1);
            assert!(counts.is_above_a_tenth(policy), "{limit}");
        }
    }

    #[test]
    fn a_limit_of_nothing_allows_nothing_and_a_clock_set_back_frees_nothing() {
        assert!(!Counts::default().hit(policy(0, 60), at(0)).allowed);
        let (mut counts, policy) = (Counts::default(), policy(1, 60));
        assert_eq!(allowed(&mut counts, policy, 120_000, 2), 1);
        assert_eq!(allowed(&mut counts, policy, 0, 2), 0);
    }
}
