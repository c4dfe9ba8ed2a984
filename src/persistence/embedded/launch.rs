//! Starts the server behind a shell that outlives neither us nor it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process};

use super::cluster::{Cluster, last_line};
use super::{EmbeddedError, EmbeddedOptions};

/// Arguments: the directory to remove at the end, the signal that ends the server, the server.
///
/// The inner shell sees the end of file when we are gone. `cat` may outlive it, harmlessly, until
/// we close the pipe.
const SHELL: &str = r#"
run_dir=$1 signal=$2
shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
( cat <&3 >/dev/null; kill -s "$signal" "$server" ) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
rm -rf -- "$run_dir"
exit "$status"
"#;

/// How often a state that sends no event is looked at.
const POLL: Duration = Duration::from_millis(10);
/// The longest wait for an orderly end; a checkpoint of a dev database takes well under a second.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest wait for the server of a process that was killed.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(10);

/// The shell and, behind it, the server.
#[derive(Debug)]
pub(super) struct Server {
    shell: Child,
    pipe: Option<ChildStdin>,
    pub(super) run_dir: PathBuf,
    pub(super) log: PathBuf,
    /// Given back last, when the server has ended.
    _lock: Option<File>,
}

impl Server {
    /// Asks for the end and waits for it.
    pub(super) fn stop(&mut self) {
        drop(self.pipe.take());
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.is_running() && Instant::now() < deadline {
            pause();
        }
        if self.is_running() {
            tracing::warn!("the embedded Postgres did not stop in time: killing it");
            let _ = kill_process_group(Pid::from_child(&self.shell), Signal::KILL);
            let _ = self.shell.wait();
        }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.shell.try_wait(), Ok(None))
    }

    fn why(&self) -> String {
        last_line(&std::fs::read_to_string(&self.log).unwrap_or_default())
    }
}

pub(super) fn launch(cluster: Cluster, options: &EmbeddedOptions) -> Result<Server, EmbeddedError> {
    let deadline = Instant::now() + options.start_timeout;
    let pid_file = cluster.data_dir.join("postmaster.pid");
    wait_for_predecessor(&pid_file);
    let mut server = spawn(cluster, options)?;
    while !is_ready(&pid_file, &server.run_dir) {
        if !server.is_running() {
            return Err(EmbeddedError::Start(server.why()));
        }
        if Instant::now() > deadline {
            return Err(EmbeddedError::Slow { after: options.start_timeout, log: server.why() });
        }
        pause();
    }
    Ok(server)
}

fn spawn(cluster: Cluster, options: &EmbeddedOptions) -> Result<Server, EmbeddedError> {
    let Cluster { programs, identity, data_dir, run_dir, log, lock, .. } = cluster;
    let directory = |path: &Path, cause| EmbeddedError::Directory { path: path.to_owned(), cause };
    let output = File::create(&log).map_err(|cause| directory(&log, cause))?;
    let errors = output.try_clone().map_err(|cause| directory(&log, cause))?;
    let switch = if options.durable { "on" } else { "off" };
    let throw_away = options.data_dir.is_none();

    let mut command = identity.command(Path::new("/bin/sh"));
    command.args(["-c", SHELL, "keywright-postgres"]).envs(options.environment.iter().cloned());
    command.arg(&run_dir).arg(if throw_away { "QUIT" } else { "INT" });
    command.arg(programs.postgres()).arg("-D").arg(&data_dir);
    for (name, value) in [
        ("listen_addresses", String::new()),
        ("port", "5432".to_owned()),
        ("unix_socket_directories", run_dir.display().to_string()),
        ("unix_socket_permissions", "0700".to_owned()),
        ("max_connections", options.max_connections.to_string()),
        ("fsync", switch.to_owned()),
        ("synchronous_commit", switch.to_owned()),
        ("full_page_writes", switch.to_owned()),
        ("logging_collector", "off".to_owned()),
    ] {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    for (name, value) in &options.settings {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.process_group(0).stdin(Stdio::piped()).stdout(output).stderr(errors);
    let mut shell = command
        .spawn()
        .map_err(|cause| EmbeddedError::Program { program: "/bin/sh".to_owned(), cause })?;
    let pipe = shell.stdin.take();
    Ok(Server { shell, pipe, run_dir, log, _lock: lock })
}

/// A server whose keywright was killed needs some time to end. A number that belongs to some other
/// process by now is left to Postgres, which looks closer.
fn wait_for_predecessor(pid_file: &Path) {
    let deadline = Instant::now() + PREDECESSOR_TIMEOUT;
    while let Some(pid) = read_pid(pid_file) {
        let gone = test_kill_process(pid) == Err(Errno::SRCH);
        if gone || Instant::now() > deadline {
            return;
        }
        pause();
    }
}

/// A number below one would mean a group of processes, or a server without a postmaster.
fn read_pid(pid_file: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(pid_file).ok()?;
    let number: i32 = text.lines().next()?.trim().parse().ok()?;
    if number > 0 { Pid::from_raw(number) } else { None }
}

/// What `pg_ctl` looks at: line 5 is the socket directory, line 8 the state.
fn is_ready(pid_file: &Path, run_dir: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return false };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.get(4).is_some_and(|line| Path::new(line) == run_dir) && lines.get(7) == Some(&"ready")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process that is not our child and a file tell nobody when they change"
)]
fn pause() {
    std::thread::sleep(POLL);
}
