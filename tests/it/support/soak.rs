//! How long tests with random choices go on: once in `make test`, for a given time in `make soak`.

use std::time::{Duration, Instant};

use super::random::Random;

/// `KEYWRIGHT_SOAK`: seconds that each of these tests takes; unset in `make test`.
pub(crate) fn duration() -> Option<Duration> {
    let seconds = std::env::var_os("KEYWRIGHT_SOAK")?;
    let seconds = seconds.into_string().ok().and_then(|seconds| seconds.parse().ok());
    Some(Duration::from_secs(seconds.expect("KEYWRIGHT_SOAK is a number of seconds")))
}

/// The repetitions of one test, each with a seed of its own.
pub(crate) struct Soak {
    name: &'static str,
    began: Instant,
    rounds: usize,
}

impl Soak {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, began: Instant::now(), rounds: 0 }
    }

    /// Choices for the next repetition; `None` when it is time to end. There is at least one.
    pub(crate) fn next_round(&mut self) -> Option<Random> {
        let has_time = duration().is_some_and(|duration| self.began.elapsed() < duration);
        // One seed that is to be looked at needs no company.
        let is_alone = std::env::var_os("KEYWRIGHT_SEED").is_some();
        if self.rounds > 0 && (!has_time || is_alone) {
            return None;
        }
        self.rounds += 1;
        Some(Random::for_test(self.name))
    }
}
