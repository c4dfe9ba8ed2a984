//! How much of the time passwords are hashed while this node has too little CPU for those who have a
//! session.
//!
//! A lower priority is not enough: the scheduler weighs threads against those of their own process
//! first. So hashes pause, as far as two things come together: sessions are refreshed at a high rate,
//! and the threads that serve wait for a core (`run_queue.rs`). How long Postgres takes says nothing
//! about this machine and plays no part. The pauses never take more than the share that
//! `AUTH_PASSWORD_HASH_LEAST_SHARE` leaves, so that sign-ins go on.

use std::time::{Duration, Instant};

use super::run_queue::ThreadTimes;

/// What is learned is forgotten by half in this time.
const HALF_LIFE: Duration = Duration::from_secs(1);
/// Rotations within that memory that make a throttle worthwhile: some hundred in a second.
const BUSY: f64 = 1_000.0;
/// Thread seconds within that memory that say something.
const ENOUGH: f64 = 0.02;
/// Waiting for a core up to this part of the time of threads that want one is as it should be.
const PLENTY: f64 = 0.1;
/// From this part on, hashes run for the least share.
const SCARCE: f64 = 0.3;
/// For how long hashes begin before that is looked at, where there is CPU enough.
const STRETCH: Duration = Duration::from_millis(200);
/// The same where there is not: those of all threads begin together, and none after them.
const AT_ONCE: Duration = Duration::from_millis(2);

/// What this node has done up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Refresh tokens that were rotated.
    pub rotated: f64,
    /// Of the threads that serve.
    pub threads: ThreadTimes,
}

/// The load of late.
#[derive(Debug)]
struct Memory {
    of_late: Load,
    up_to: Load,
    at: Instant,
}

impl Memory {
    fn note(&mut self, load: Load, now: Instant) {
        let faded = self.at(now);
        let threads = load.threads.since(self.up_to.threads);
        self.of_late = Load {
            rotated: faded.rotated + load.rotated - self.up_to.rotated,
            threads: ThreadTimes {
                ran: faded.threads.ran + threads.ran,
                waited: faded.threads.waited + threads.waited,
            },
        };
        (self.up_to, self.at) = (load, now);
    }

    fn at(&self, now: Instant) -> Load {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        let left = 0.5_f64.powf(age / HALF_LIFE.as_secs_f64());
        let Load { rotated, threads: ThreadTimes { ran, waited } } = self.of_late;
        let threads = ThreadTimes { ran: ran * left, waited: waited * left };
        Load { rotated: rotated * left, threads }
    }
}

/// Watches the load, and says when hashes are to pause.
#[derive(Debug)]
pub struct HashThrottle {
    memory: Memory,
    /// When hashes began to run.
    began: Instant,
}

impl HashThrottle {
    /// Nothing is known yet.
    pub fn new(now: Instant, load: Load) -> Self {
        let memory = Memory { of_late: Load::default(), up_to: load, at: now };
        Self { memory, began: now }
    }

    /// The first hash begins to run.
    pub fn began(&mut self, now: Instant, load: Load) {
        if now.saturating_duration_since(self.memory.at) < HALF_LIFE * 2 {
            self.memory.note(load, now);
        } else {
            // An average over a long time says little about this moment.
            self.memory.up_to = load;
            self.memory.of_late = Load::default();
            self.memory.at = now;
        }
        self.began = now;
    }

    /// Whether those that run now should be the last before a look at the load.
    pub fn is_time(&self, now: Instant, least_share: f64) -> bool {
        let stretch = if self.share(now, least_share) < 1.0 { AT_ONCE } else { STRETCH };
        now.saturating_duration_since(self.began) >= stretch
    }

    /// The last hash has ended; for how long none is to begin.
    pub fn ended(&mut self, now: Instant, load: Load, least_share: f64) -> Duration {
        self.memory.note(load, now);
        let worked = now.saturating_duration_since(self.began);
        worked.mul_f64(1.0 / self.share(now, least_share) - 1.0)
    }

    /// The part of the time for which hashes may run.
    fn share(&self, now: Instant, least: f64) -> f64 {
        let Load { rotated, threads: ThreadTimes { ran, waited } } = self.memory.at(now);
        if rotated < BUSY || ran + waited < ENOUGH {
            return 1.0;
        }
        let waiting = waited / (ran + waited);
        let scarcity = ((waiting - PLENTY) / (SCARCE - PLENTY)).clamp(0.0, 1.0);
        1.0 - scarcity * (1.0 - least)
    }
}

#[cfg(test)]
mod tests {
    use crate::actors::passwords::hash_throttle::*;

    const LEAST: f64 = 0.4;
    const HASH: Duration = Duration::from_millis(20);

    /// A machine on which hashes follow one another; the part of the time that they ran.
    struct Machine {
        now: Instant,
        load: Load,
        /// Rotations in a second.
        rate: f64,
        /// The part of the time of threads for which they wait.
        waiting: f64,
    }

    impl Machine {
        fn new(rate: f64, waiting: f64) -> Self {
            Self { now: Instant::now(), load: Load::default(), rate, waiting }
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
            self.load.rotated += self.rate * time.as_secs_f64();
            self.load.threads.ran += (1.0 - self.waiting) * time.as_secs_f64();
            self.load.threads.waited += self.waiting * time.as_secs_f64();
        }

        /// Whoever wants to hash never stops.
        fn burst(&mut self, throttle: &mut HashThrottle, time: Duration) -> f64 {
            let (mut hashed, began) = (Duration::ZERO, self.now);
            while self.now - began < time {
                throttle.began(self.now, self.load);
                loop {
                    self.pass(HASH);
                    hashed += HASH;
                    if throttle.is_time(self.now, LEAST) {
                        break;
                    }
                }
                let pause = throttle.ended(self.now, self.load, LEAST);
                self.pass(pause);
            }
            hashed.as_secs_f64() / (self.now - began).as_secs_f64()
        }
    }

    fn share(rate: f64, waiting: f64) -> f64 {
        let mut machine = Machine::new(rate, waiting);
        let mut throttle = HashThrottle::new(machine.now, machine.load);
        machine.burst(&mut throttle, Duration::from_secs(3));
        machine.burst(&mut throttle, Duration::from_secs(10))
    }

    #[test]
    fn where_there_is_cpu_enough_hashes_run_all_the_time() {
        for waiting in [0.0, 0.05, PLENTY] {
            let share = share(20_000.0, waiting);
            assert!((share - 1.0).abs() < 1e-9, "{waiting}: {share}");
        }
    }

    #[test]
    fn where_it_is_scarce_they_get_the_least_share_and_no_less() {
        for waiting in [SCARCE, 0.6, 0.99] {
            let share = share(20_000.0, waiting);
            assert!((LEAST..LEAST * 1.1).contains(&share), "{waiting}: {share}");
        }
    }

    #[test]
    fn between_the_two_they_get_something_between() {
        let share = share(20_000.0, f64::midpoint(PLENTY, SCARCE));
        assert!((0.65..0.75).contains(&share), "{share}");
    }

    #[test]
    fn where_little_is_refreshed_nothing_is_held_back() {
        let share = share(100.0, 0.9);
        assert!((share - 1.0).abs() < 1e-9, "{share}");
    }

    #[test]
    fn what_was_is_forgotten_when_there_is_cpu_again() {
        let mut machine = Machine::new(20_000.0, 0.8);
        let mut throttle = HashThrottle::new(machine.now, machine.load);
        let while_scarce = machine.burst(&mut throttle, Duration::from_secs(10));
        machine.waiting = 0.0;
        machine.burst(&mut throttle, Duration::from_secs(10));
        let afterwards = machine.burst(&mut throttle, Duration::from_secs(10));
        assert!(while_scarce < LEAST * 1.1 && afterwards > 0.99, "{while_scarce} {afterwards}");
    }

    #[test]
    fn a_lone_hash_after_a_long_time_waits_no_longer_than_the_least_share_asks() {
        let mut machine = Machine::new(20_000.0, 0.8);
        let mut throttle = HashThrottle::new(machine.now, machine.load);
        machine.pass(Duration::from_mins(1));
        throttle.began(machine.now, machine.load);
        machine.pass(HASH);
        let pause = throttle.ended(machine.now, machine.load, LEAST);
        assert!(pause <= HASH.mul_f64(1.0 / LEAST - 1.0), "{pause:?}");
    }
}
