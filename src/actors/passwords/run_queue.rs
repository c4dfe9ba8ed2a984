//! How long the threads that serve have had to wait for a core, as the kernel counts it for each thread
//! of this process. Those of the hashes do not count: waiting is what their low priority is for.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// The kernel's list of the threads of this process.
const TASKS: &str = "/proc/self/task";
/// A look costs two small reads a thread, so this is the least time between two.
const INTERVAL: Duration = Duration::from_millis(50);

/// Seconds of threads that serve, together, up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadTimes {
    /// For which they ran.
    pub ran: f64,
    /// For which they could have run and had no core.
    pub waited: f64,
}

impl ThreadTimes {
    /// What has passed since an earlier look.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { ran: self.ran - earlier.ran, waited: self.waited - earlier.waited }
    }
}

/// Reads the times; where the kernel does not tell them (not Linux, or a sandbox), nobody ever waits.
#[derive(Debug, Default)]
pub struct RunQueue {
    seen: Option<(Instant, ThreadTimes)>,
    /// What each thread had at the last look, so that one that ended does not turn times back.
    threads: HashMap<String, ThreadTimes>,
}

impl RunQueue {
    /// The times up to now, or up to a moment ago.
    pub fn times(&mut self, now: Instant) -> ThreadTimes {
        match self.seen {
            Some((at, times)) if now.saturating_duration_since(at) < INTERVAL => times,
            seen => {
                let before = seen.map_or_else(ThreadTimes::default, |(_, times)| times);
                let times = self.add_new(before);
                self.seen = Some((now, times));
                times
            }
        }
    }

    fn add_new(&mut self, mut times: ThreadTimes) -> ThreadTimes {
        let before = std::mem::take(&mut self.threads);
        // The kernel makes these files when they are read; no disk is waited for.
        for entry in std::fs::read_dir(TASKS).into_iter().flatten().flatten() {
            let Some(read) = read_thread(&entry.path()) else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            let more = read.since(before.get(&name).copied().unwrap_or(read));
            times.ran += more.ran.max(0.0);
            times.waited += more.waited.max(0.0);
            self.threads.insert(name, read);
        }
        times
    }
}

/// The times of a thread; `None` for one that hashes, or has ended.
fn read_thread(folder: &Path) -> Option<ThreadTimes> {
    let name = std::fs::read_to_string(folder.join("comm")).ok()?;
    if name.trim_end() == super::HASH_THREADS {
        return None;
    }
    parse(&std::fs::read_to_string(folder.join("schedstat")).ok()?)
}

/// Nanoseconds on a core, nanoseconds of waiting for one, and a count.
fn parse(schedstat: &str) -> Option<ThreadTimes> {
    let mut fields = schedstat.split_ascii_whitespace();
    let mut seconds =
        || fields.next()?.parse().ok().map(|ns| Duration::from_nanos(ns).as_secs_f64());
    Some(ThreadTimes { ran: seconds()?, waited: seconds()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_a_thread_are_read() {
        let times = parse("1500000000 250000000 17\n").unwrap();
        assert_eq!(times, ThreadTimes { ran: 1.5, waited: 0.25 });
        assert_eq!(parse("0"), None);
        assert_eq!(parse("a b c"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_this_process_does_shows_and_a_second_look_at_once_costs_nothing() {
        let mut queue = RunQueue::default();
        let began = Instant::now();
        let before = queue.times(began);
        // Spins, since only that counts as running.
        let until = Instant::now() + Duration::from_millis(30);
        while Instant::now() < until {}
        assert_eq!(queue.times(began + INTERVAL / 2), before);
        let after = queue.times(began + INTERVAL).since(before);
        assert!(after.ran >= 0.01 && after.waited >= 0.0, "{after:?}");
    }
}
