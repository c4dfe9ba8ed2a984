//! The limit of open files, of which every connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside the connections of clients: Postgres, mail, other services, listeners, logs.
const OTHER_FILES: u64 = 512;

/// Raises the soft limit as far as this many connections need and the hard limit allows.
///
/// Fewer connections are returned if that is not enough, with a warning: the rest of the server
/// needs files, too, and could not even tell that they are exhausted.
pub fn fit(connections: usize) -> usize {
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let limit = raise(needed);
    if limit >= needed {
        return connections;
    }
    let fitting = limit.saturating_sub(OTHER_FILES).max(limit / 2);
    tracing::warn!(
        limit,
        needed,
        connections = fitting,
        "the limit of open files is too low for AUTH_HTTP_MAX_CONCURRENCY: fewer connections are \
         accepted; raise the limit or lower the setting"
    );
    usize::try_from(fitting).unwrap_or(connections)
}

/// The soft limit after it was raised as far as possible.
fn raise(needed: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    if current >= needed {
        return current;
    }
    let wanted = maximum.unwrap_or(u64::MAX).min(needed);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        Ok(()) => wanted,
        // Some systems allow less than they say.
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use crate::http::serve::file_limit::*;

    #[test]
    fn few_connections_fit_and_endless_ones_become_as_many_as_files_allow() {
        assert_eq!(fit(10), 10);
        let all = fit(usize::MAX);
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(u64::try_from(all).unwrap() <= limit);
    }
}
