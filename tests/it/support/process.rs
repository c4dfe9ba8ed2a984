//! A server in a process of its own, for tests that kill it.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::app::{Client, settings};
use super::postgres::TestDatabase;

/// What a process keeps in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now (`VmRSS`).
    pub(crate) resident_kib: u64,
    /// At the most so far (`VmHWM`).
    pub(crate) peak_kib: u64,
}

/// The `keywright serve` of this build.
pub(crate) struct ServerProcess {
    child: Child,
    client: Client,
    log: Arc<Mutex<Vec<Value>>>,
}

impl ServerProcess {
    /// Returns once it serves.
    pub(crate) async fn start(database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        Self::spawn(serve(database, more), |_| true).await
    }

    /// The same, for many requests: keeps no line of the log.
    pub(crate) async fn start_quietly(database: &TestDatabase, more: &[(&str, &str)]) -> Self {
        Self::spawn(serve(database, more), |_| false).await
    }

    /// Starts what will say `serving` on its standard output, as the server does.
    pub(crate) async fn spawn(mut command: Command, keeps: fn(&Value) -> bool) -> Self {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("it serves before it ends");
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            let address = entry["address"].as_str().map(ToOwned::to_owned);
            let serves = entry["msg"] == "serving";
            log.lock().unwrap().push(entry);
            if serves {
                break address.expect("it says where");
            }
        };
        let rest = Arc::clone(&log);
        // A full pipe would stop its log, and an abandoned one would end it.
        #[expect(clippy::disallowed_methods, reason = "ends with the process")]
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let entry = serde_json::from_str(&line).unwrap_or_default();
                if keeps(&entry) {
                    rest.lock().unwrap().push(entry);
                }
            }
        });
        let client = Client::new(format!("http://{address}"));
        Self { child, client, log }
    }

    /// Writes to its standard input.
    pub(crate) async fn say(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("it listens");
        input.write_all(text.as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The lines of its log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.running().expect("it runs")
    }

    /// Its number, unless it has been killed or waited for.
    pub(crate) fn running(&self) -> Option<u32> {
        self.child.id()
    }

    /// As Linux counts it.
    pub(crate) fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let kib = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
        };
        Memory { resident_kib: kib("VmRSS"), peak_kib: kib("VmHWM") }
    }

    /// SIGKILL: no chance to clean up.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        send(self.id(), signal);
    }

    /// Waits for the end; the exit code.
    pub(crate) async fn wait(&mut self) -> Option<i32> {
        self.child.wait().await.unwrap().code()
    }
}

/// Sends a signal to a process.
pub(crate) fn send(id: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// What starts a server.
pub(crate) fn serve(database: &TestDatabase, more: &[(&str, &str)]) -> Command {
    let url = database.url();
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywright"));
    command
        .arg("serve")
        .env_clear()
        .envs(settings(&url, more))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    command
}
