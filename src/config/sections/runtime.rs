//! Threads of the process; read before everything else, because they carry everything else.

use crate::config::reading::{ConfigErrors, Reader, Sources};
use crate::config::rows;

/// The threads that serve requests.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeConfig {
    /// `AUTH_WORKER_THREADS` (ours), default one less than there are cores, and at least one.
    ///
    /// The last core is for what is not on these threads: hashing, logs, the kernel's network, and
    /// a Postgres on the same machine. With two workers on two cores the same refresh costs a tenth
    /// more CPU, and a single one half again as long, because the workers keep waking each other.
    pub worker_threads: usize,
}

impl RuntimeConfig {
    /// Only this part.
    pub fn from_sources(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(sources);
        let config = Self::read(&mut reader);
        reader.checked(config)
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let given = reader.optional_number(&rows::runtime::WORKER_THREADS, 1..=1_024);
        Self { worker_threads: given.unwrap_or_else(cores_but_one) }
    }
}

/// The default of every number of threads that may all be busy at once.
pub(in crate::config) fn cores_but_one() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(given: &str) -> Option<usize> {
        let sources = Sources::from_env([("AUTH_WORKER_THREADS", given)]);
        RuntimeConfig::from_sources(&sources).ok().map(|config| config.worker_threads)
    }

    #[test]
    fn at_least_one_worker_serves() {
        assert!(workers("").is_some_and(|workers| workers >= 1));
        assert_eq!(workers("3"), Some(3));
        assert_eq!(workers("0"), None);
    }
}
