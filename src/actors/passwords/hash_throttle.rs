//! How much of the time passwords are hashed, while that slows down those who have a session.
//!
//! A lower priority is not enough: the scheduler weighs threads against those of their own process
//! first, and what a refresh waits for (Postgres, the network) may be another process on the same
//! cores. So the throttle goes by what it is for: the time that rotations take while passwords are
//! hashed is compared with the time that they take while none are. Where there are cores enough the
//! two are alike, and nothing is held back.

use std::time::{Duration, Instant};

/// What is learned is forgotten by half in this time.
const HALF_LIFE: Duration = Duration::from_secs(1);
/// Rotations within that memory that make a throttle worthwhile: some hundred in a second.
const BUSY: f64 = 1_000.0;
/// Batches within that memory that make an average.
const ENOUGH: f64 = 10.0;
/// Up to so many times the time, hashes run all the time.
const HARMLESS: f64 = 1.1;
/// From so many times the time on, they run for the least share.
const HARMFUL: f64 = 1.25;
/// The part of the time that goes to looking what rotations take without hashes.
const LOOK: f64 = 1.0 / 32.0;
/// For how long hashes begin before that is looked at, where they are harmless.
const STRETCH: Duration = Duration::from_millis(200);
/// The same where they are not: those of all threads begin together, and none after them.
const AT_ONCE: Duration = Duration::from_millis(2);

/// Rotations up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rotations {
    /// Tokens that were rotated.
    pub tokens: f64,
    /// Statements that rotated them.
    pub batches: f64,
    /// Seconds that these statements took, together.
    pub seconds: f64,
}

impl Rotations {
    fn since(self, earlier: Self) -> Self {
        Self {
            tokens: self.tokens - earlier.tokens,
            batches: self.batches - earlier.batches,
            seconds: self.seconds - earlier.seconds,
        }
    }
}

/// Rotations of late.
#[derive(Debug)]
struct Memory {
    seen: Rotations,
    at: Instant,
}

impl Memory {
    fn new(now: Instant) -> Self {
        Self { seen: Rotations::default(), at: now }
    }

    fn add(&mut self, more: Rotations, now: Instant) {
        let faded = self.at(now);
        self.seen = Rotations {
            tokens: faded.tokens + more.tokens,
            batches: faded.batches + more.batches,
            seconds: faded.seconds + more.seconds,
        };
        self.at = now;
    }

    fn at(&self, now: Instant) -> Rotations {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        let left = 0.5_f64.powf(age / HALF_LIFE.as_secs_f64());
        let Rotations { tokens, batches, seconds } = self.seen;
        Rotations { tokens: tokens * left, batches: batches * left, seconds: seconds * left }
    }
}

/// Watches rotations with and without hashes, and says when hashes are to pause.
#[derive(Debug)]
pub struct HashThrottle {
    with: Memory,
    without: Memory,
    /// When hashes began or ended to run, and what had been rotated by then.
    turned: (Instant, Rotations),
}

impl HashThrottle {
    /// Nothing is known yet.
    pub fn new(now: Instant, rotations: Rotations) -> Self {
        Self { with: Memory::new(now), without: Memory::new(now), turned: (now, rotations) }
    }

    /// The first hash begins to run.
    pub fn began(&mut self, now: Instant, rotations: Rotations) {
        let (since, before) = self.turned;
        // An average over a long time says little about this moment.
        if now.saturating_duration_since(since) < HALF_LIFE * 2 {
            self.without.add(rotations.since(before), now);
        }
        self.turned = (now, rotations);
    }

    /// Whether those that run now should be the last before a pause.
    pub fn is_time(&self, now: Instant, least_share: f64) -> bool {
        let stretch = if self.share(now, least_share) < 1.0 { AT_ONCE } else { STRETCH };
        now.saturating_duration_since(self.turned.0) >= stretch
    }

    /// The last hash has ended; for how long none is to begin.
    pub fn ended(&mut self, now: Instant, rotations: Rotations, least_share: f64) -> Duration {
        let (since, before) = self.turned;
        self.with.add(rotations.since(before), now);
        self.turned = (now, rotations);
        if !self.is_busy(now) {
            return Duration::ZERO;
        }
        let worked = now.saturating_duration_since(since);
        let share = self.share(now, least_share).min(1.0 - LOOK);
        worked.mul_f64(1.0 / share - 1.0)
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.with.at(now).tokens + self.without.at(now).tokens >= BUSY
    }

    /// The part of the time for which hashes may run.
    fn share(&self, now: Instant, least: f64) -> f64 {
        let (with, without) = (self.with.at(now), self.without.at(now));
        if !self.is_busy(now) || with.batches < ENOUGH {
            return 1.0;
        }
        if without.batches < ENOUGH {
            return least.max(0.5);
        }
        let times = (with.seconds / with.batches) / (without.seconds / without.batches);
        let harm = ((times - HARMLESS) / (HARMFUL - HARMLESS)).clamp(0.0, 1.0);
        1.0 - harm * (1.0 - least)
    }
}

#[cfg(test)]
mod tests {
    use crate::actors::passwords::hash_throttle::*;

    const LEAST: f64 = 0.1;
    const HASH: Duration = Duration::from_millis(20);

    /// A machine on which hashes follow one another; the part of the time that they ran.
    struct Machine {
        now: Instant,
        rotations: Rotations,
        /// Rotations in a second.
        rate: f64,
        /// Seconds of a batch with and without hashes.
        batch: (f64, f64),
    }

    impl Machine {
        fn new(rate: f64, batch: (f64, f64)) -> Self {
            Self { now: Instant::now(), rotations: Rotations::default(), rate, batch }
        }

        fn pass(&mut self, time: Duration, is_hashing: bool) {
            self.now += time;
            let batch = if is_hashing { self.batch.0 } else { self.batch.1 };
            let tokens = self.rate * time.as_secs_f64();
            self.rotations.tokens += tokens;
            self.rotations.batches += tokens / 10.0;
            self.rotations.seconds += tokens / 10.0 * batch;
        }

        /// Whoever wants to hash never stops.
        fn burst(&mut self, throttle: &mut HashThrottle, time: Duration) -> f64 {
            let (mut hashed, began) = (Duration::ZERO, self.now);
            while self.now - began < time {
                throttle.began(self.now, self.rotations);
                loop {
                    self.pass(HASH, true);
                    hashed += HASH;
                    if throttle.is_time(self.now, LEAST) {
                        break;
                    }
                }
                let pause = throttle.ended(self.now, self.rotations, LEAST);
                self.pass(pause, false);
            }
            hashed.as_secs_f64() / (self.now - began).as_secs_f64()
        }
    }

    fn share(rate: f64, batch: (f64, f64)) -> f64 {
        let mut machine = Machine::new(rate, batch);
        let mut throttle = HashThrottle::new(machine.now, machine.rotations);
        machine.burst(&mut throttle, Duration::from_secs(3));
        machine.burst(&mut throttle, Duration::from_secs(10))
    }

    #[test]
    fn hashes_that_harm_nobody_run_nearly_all_the_time() {
        assert!(share(20_000.0, (0.001, 0.001)) > 0.95);
        assert!(share(20_000.0, (0.001_05, 0.001)) > 0.95);
    }

    #[test]
    fn hashes_that_slow_rotations_down_get_the_least_share() {
        let share = share(20_000.0, (0.002, 0.001));
        assert!((LEAST * 0.9..LEAST * 1.2).contains(&share), "{share}");
    }

    #[test]
    fn between_the_two_they_get_something_between() {
        let share = share(20_000.0, (0.001_175, 0.001));
        assert!((0.4..0.7).contains(&share), "{share}");
    }

    #[test]
    fn where_little_is_refreshed_nothing_is_held_back() {
        let share = share(100.0, (0.01, 0.001));
        assert!((share - 1.0).abs() < 1e-9, "{share}");
    }

    #[test]
    fn what_was_is_forgotten_when_the_harm_is_over() {
        let mut machine = Machine::new(20_000.0, (0.003, 0.001));
        let mut throttle = HashThrottle::new(machine.now, machine.rotations);
        let while_harmful = machine.burst(&mut throttle, Duration::from_secs(10));
        machine.batch.0 = machine.batch.1;
        machine.burst(&mut throttle, Duration::from_secs(10));
        let afterwards = machine.burst(&mut throttle, Duration::from_secs(10));
        assert!(while_harmful < 0.2 && afterwards > 0.9, "{while_harmful} {afterwards}");
    }

    #[test]
    fn a_lone_hash_waits_for_nothing() {
        let mut machine = Machine::new(20_000.0, (0.002, 0.001));
        let mut throttle = HashThrottle::new(machine.now, machine.rotations);
        machine.pass(Duration::from_mins(1), false);
        throttle.began(machine.now, machine.rotations);
        machine.pass(HASH, true);
        assert!(throttle.ended(machine.now, machine.rotations, LEAST) <= HASH);
    }
}
