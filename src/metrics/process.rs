//! What this process uses, from Linux's `/proc`; elsewhere there are none.

use std::fs;

/// Ticks per second of `/proc/<pid>/stat`: `USER_HZ`, 100 on every architecture that matters.
const TICKS_PER_SECOND: u64 = 100;

/// At one time; `None` for what cannot be found out.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessStats {
    /// User and system time of all threads.
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    /// Seconds since 1970.
    pub started_at: Option<f64>,
}

impl ProcessStats {
    /// Reads them; a few file reads, cheap enough for every scrape.
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            cpu_seconds: ticks(&stat, 14).zip(ticks(&stat, 15)).map(|(user, sys)| user + sys),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            virtual_bytes: kibibytes(&status, "VmSize:"),
            threads: number_after(&status, "Threads:"),
            open_fds: count_fds(),
            max_fds: number_after(&limits, "Max open files"),
            started_at: number_after(&boot, "btime ")
                .zip(ticks(&stat, 22))
                .and_then(|(boot, since)| Some(f64::from(u32::try_from(boot).ok()?) + since)),
        }
    }
}

/// A time in proc(5)'s `stat`; its second field is a name that may hold spaces and brackets.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: u64 = rest.split_whitespace().nth(field - 3)?.parse().ok()?;
    let (whole, part) = (ticks / TICKS_PER_SECOND, ticks % TICKS_PER_SECOND);
    let whole = f64::from(u32::try_from(whole).ok()?);
    Some(whole + f64::from(u32::try_from(part).ok()?) / 100.0)
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    number_after(status, name).map(|kibibytes| kibibytes * 1_024)
}

fn count_fds() -> Option<u64> {
    let fds = fs::read_dir("/proc/self/fd").ok()?.count();
    // Reading the folder takes one itself.
    u64::try_from(fds.saturating_sub(1)).ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_all_metrics() {
        let stats = ProcessStats::read();
        assert!(stats.cpu_seconds.is_some_and(|seconds| seconds >= 0.0), "{stats:?}");
        assert!(stats.resident_bytes.unwrap() > 100_000, "{stats:?}");
        assert!(stats.virtual_bytes >= stats.resident_bytes, "{stats:?}");
        assert!(stats.threads.unwrap() >= 1 && stats.open_fds.unwrap() >= 1, "{stats:?}");
        assert!(stats.max_fds.is_none_or(|max| Some(max) >= stats.open_fds), "{stats:?}");
        assert!(stats.started_at.unwrap() > 1e9, "{stats:?}");
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b) S 7 42 42 0 -1 4194560 100 0 0 0 150 25 70 800 20 0 1 0 900 1 1";
        assert_eq!((ticks(stat, 14), ticks(stat, 15)), (Some(1.5), Some(0.25)));
        assert_eq!(ticks(stat, 22), Some(9.0));
        assert_eq!(ticks("", 14), None);
    }
}
