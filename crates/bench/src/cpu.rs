//! CPU time of other processes and of this thread, from Linux's `/proc`.
//!
//! Elsewhere there is no `/proc`; CPU times are then absent, not wrong.

use std::collections::HashMap;
use std::fs;
use std::str::FromStr;
use std::time::Duration;

/// Ticks per second of `/proc/<pid>/stat`: `USER_HZ`, 100 on every architecture that matters,
/// whatever the kernel's own tick is.
const TICKS_PER_SECOND: u64 = 100;

/// A process whose CPU time is reported, with all its descendants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedProcess {
    /// The name in the report.
    pub name: String,
    pub pid: u32,
}

impl FromStr for WatchedProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "expected NAME=PID, for example server=123".to_owned();
        let (name, pid) = text.split_once('=').ok_or_else(form)?;
        let pid = pid.parse().ok().filter(|&pid| pid > 0).ok_or_else(form)?;
        if name.is_empty() {
            return Err(form());
        }
        Ok(Self { name: name.to_owned(), pid })
    }
}

/// The part of `/proc/<pid>/stat` that counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of all threads, and of children that ended and were waited for.
    ticks: u64,
}

/// All processes at one point in time.
#[derive(Debug, Default)]
pub struct Processes {
    by_pid: HashMap<u32, Stat>,
}

impl Processes {
    /// Reads the process table; empty where there is none.
    pub fn read() -> Self {
        let mut by_pid = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process may end between the listing and the reading.
            let text = fs::read_to_string(entry.path().join("stat")).ok();
            if let Some(stat) = text.as_deref().and_then(parse) {
                by_pid.insert(pid, stat);
            }
        }
        Self { by_pid }
    }

    /// CPU time since their start of a process, its descendants, and those that ended under it.
    ///
    /// What an ended child used is counted for its parent once the parent has waited for it, so the
    /// difference of two readings covers children that came or went in between (the backends of a
    /// Postgres postmaster).
    pub fn cpu_of_tree(&self, root: u32) -> Option<Duration> {
        self.cpu_of_tree_without(root, &[])
    }

    /// The same without the trees of some of the descendants: `keywright dev` is the parent of its
    /// Postgres, whose time is not the server's.
    pub fn cpu_of_tree_without(&self, root: u32, others: &[u32]) -> Option<Duration> {
        let mut ticks = self.by_pid.get(&root)?.ticks;
        let mut parents = vec![root];
        while let Some(parent) = parents.pop() {
            for (&pid, stat) in &self.by_pid {
                if stat.parent == parent && pid != parent && !others.contains(&pid) {
                    ticks += stat.ticks;
                    parents.push(pid);
                }
            }
        }
        Some(from_ticks(ticks))
    }
}

/// CPU time of the calling thread so far, in the kernel's nanoseconds.
pub fn this_thread() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// CPU time of this process's threads whose name starts with `prefix`.
pub fn own_threads(prefix: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    for entry in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let time = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
        if name.starts_with(prefix)
            && let Some(nanos) = time.split_whitespace().next().and_then(|text| text.parse().ok())
        {
            total += Duration::from_nanos(nanos);
        }
    }
    Some(total)
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * (1_000 / TICKS_PER_SECOND))
}

/// Fields 4 and 14 to 17 of proc(5)'s `stat`; the second is a name that may hold spaces and
/// brackets, so counting starts behind its last bracket.
fn parse(stat: &str) -> Option<Stat> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    let parent = u32::try_from(number(4)?).ok()?;
    let mut ticks = 0;
    for field in 14..=17 {
        ticks += u64::try_from(number(field)?).unwrap_or(0);
    }
    Some(Stat { parent, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "42 (post) gres: x) S 7 42 42 0 -1 4194560 100 0 0 0 5 6 70 800 20 0 1 0 9";

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        assert_eq!(parse(LINE), Some(Stat { parent: 7, ticks: 881 }));
    }

    #[test]
    fn truncated_or_foreign_lines_give_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("1 (init"), None);
        assert_eq!(parse("1 (init) S 0 1 1"), None);
        assert_eq!(parse("1 (init) S x 1 1 0 0 0 0 0 0 0 1 1 1 1"), None);
    }

    #[test]
    fn a_tree_counts_its_descendants_and_no_others() {
        let stat = |parent, ticks| Stat { parent, ticks };
        let by_pid = [(1, stat(0, 1)), (5, stat(1, 10)), (6, stat(5, 100)), (7, stat(6, 1_000))];
        let processes = Processes { by_pid: by_pid.into_iter().collect() };
        assert_eq!(processes.cpu_of_tree(5), Some(Duration::from_millis(11_100)));
        assert_eq!(processes.cpu_of_tree(7), Some(Duration::from_secs(10)));
        assert_eq!(processes.cpu_of_tree(9), None);
        assert_eq!(processes.cpu_of_tree_without(5, &[7]), Some(Duration::from_millis(1_100)));
    }

    #[test]
    fn a_watched_process_is_written_as_name_and_id() {
        let good: WatchedProcess = "postgres=456".parse().unwrap();
        assert_eq!(good, WatchedProcess { name: "postgres".to_owned(), pid: 456 });
        for bad in ["456", "=456", "a=", "a=-1", "a=0", "a=x"] {
            assert!(bad.parse::<WatchedProcess>().is_err(), "{bad}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_and_thread_have_used_some_time() {
        assert!(Processes::read().cpu_of_tree(std::process::id()).is_some());
        assert!(this_thread().unwrap() > Duration::ZERO);
    }
}
