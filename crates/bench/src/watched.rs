//! Processes as the command line names them: by id, or by the port on which they listen.

use std::collections::HashSet;
use std::fs;
use std::str::FromStr;

use anyhow::{Context as _, ensure};

use crate::cpu::{Processes, WatchedProcess};

/// State of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A process whose CPU time is to be reported; looked for when the measurement begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedProcess {
    ById(WatchedProcess),
    /// Whoever listens there: another process after a restart.
    ByPort {
        name: String,
        port: u16,
    },
}

impl FromStr for NamedProcess {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("=:") {
            Some((name, port)) if !name.is_empty() => {
                let port = port.parse().ok().filter(|&port| port > 0);
                let port = port.ok_or("expected NAME=:PORT, for example server=:4000")?;
                Ok(Self::ByPort { name: name.to_owned(), port })
            }
            _ => text.parse().map(Self::ById),
        }
    }
}

impl NamedProcess {
    /// The process as it runs now.
    pub fn find(&self) -> anyhow::Result<WatchedProcess> {
        let watched = match self {
            Self::ById(watched) => watched.clone(),
            Self::ByPort { name, port } => {
                let pid = listener(*port).with_context(|| {
                    format!("--pid {name}=:{port}: no process of this user listens there")
                })?;
                WatchedProcess { name: name.clone(), pid }
            }
        };
        let WatchedProcess { name, pid } = &watched;
        let is_there = Processes::read().cpu_of_tree(*pid).is_some();
        ensure!(is_there, "--pid {name}={pid}: no such process");
        Ok(watched)
    }
}

/// The process that listens on a port; the oldest if some have inherited the socket.
fn listener(port: u16) -> Option<u32> {
    let mut sockets = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        sockets.extend(text.lines().filter_map(|line| listening_socket(line, port)));
    }
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        files
            .any(|file| {
                fs::read_link(file.path()).is_ok_and(|link| sockets.contains(link.as_os_str()))
            })
            .then_some(pid)
    });
    pids.min()
}

/// What file descriptors of this line's socket link to, if it listens on the port.
fn listening_socket(line: &str, port: u16) -> Option<std::ffi::OsString> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, local_port) = fields.next()?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let is_it = state == LISTENS && u16::from_str_radix(local_port, 16) == Ok(port);
    is_it.then(|| format!("socket:[{inode}]").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_id_or_by_port() {
        let by_id: NamedProcess = "server=7".parse().unwrap();
        let watched = WatchedProcess { name: "server".to_owned(), pid: 7 };
        assert_eq!(by_id, NamedProcess::ById(watched));
        let by_port: NamedProcess = "server=:4000".parse().unwrap();
        assert_eq!(by_port, NamedProcess::ByPort { name: "server".to_owned(), port: 4_000 });
        for bad in ["=:4000", "a=:", "a=:0", "a=:70000", "a=x", "4000"] {
            assert!(bad.parse::<NamedProcess>().is_err(), "{bad}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_found_by_a_port_on_which_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let named: NamedProcess = format!("self=:{port}").parse().unwrap();
        assert_eq!(named.find().unwrap().pid, std::process::id());
        drop(listener);
        assert!(named.find().unwrap_err().to_string().contains(&format!(":{port}")));
    }
}
