//! Programs of others that tests start. One that dies of itself has found nothing and says nothing
//! about the server: it is started once more, and `make test` names it in its table. A second death
//! is a failure like any other.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Output;

use rustix::process::Signal;
use tokio::process::Command;

/// Where `make test` wants to read of deaths, a line each.
const CRASHES: &str = "KEYWRIGHT_TEST_CRASHES";

/// What Chromium and the library that drives it say when the browser itself is gone.
const BROWSER: &[&str] = &[
    "browserType.launch:",
    "Target page, context or browser has been closed",
    "Page crashed",
    "Browser has been closed",
];

/// What Node.js says when it is broken itself.
const NODE: &[&str] = &["FATAL ERROR:", "Check failed:", "Fatal error in"];

/// Runs Node.js with a script, which may drive a browser. The command is made anew for each try.
pub(crate) async fn run_node(make: impl Fn(&mut Command) + Send + Sync) -> Output {
    let of_itself = |output: &Output| {
        // Whatever else went wrong, a script that missed what it expected has found something.
        if output.status.success() || sign(output, &["AssertionError"]).is_some() {
            return None;
        }
        killed(output).or_else(|| sign(output, NODE)).or_else(|| sign(output, BROWSER))
    };
    run("node", "node", make, of_itself).await
}

/// Runs a program to its end, and once more if `of_itself` says why the first run died.
pub(crate) async fn run(
    name: &str,
    program: impl AsRef<std::ffi::OsStr> + Send + Sync,
    make: impl Fn(&mut Command) + Send + Sync,
    of_itself: impl Fn(&Output) -> Option<String> + Send,
) -> Output {
    run_noting(name, program, make, of_itself, note).await
}

async fn run_noting(
    name: &str,
    program: impl AsRef<std::ffi::OsStr> + Send + Sync,
    make: impl Fn(&mut Command) + Send + Sync,
    of_itself: impl Fn(&Output) -> Option<String> + Send,
    note: impl Fn(&str, &str) + Send,
) -> Output {
    let once = async || {
        let mut command = Command::new(program.as_ref());
        make(&mut command);
        let output = command.kill_on_drop(true).output().await;
        output.unwrap_or_else(|error| panic!("{name} does not start: run make test: {error}"))
    };
    let output = once().await;
    let Some(why) = of_itself(&output) else { return output };
    note(name, &why);
    once().await
}

/// Starts what goes on running, and once more if that fails.
pub(crate) async fn start<T, E, F>(name: &str, once: impl Fn() -> F + Send + Sync) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>> + Send,
{
    match once().await {
        Ok(started) => started,
        Err(error) => {
            note(name, &error.to_string());
            once().await.unwrap_or_else(|error| panic!("{name} does not start: {error}"))
        }
    }
}

/// Whether it was ended by a signal that a program only gets for its own faults.
pub(crate) fn killed(output: &Output) -> Option<String> {
    let fault = [
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (Signal::ILL, "SIGILL"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::TRAP, "SIGTRAP"),
    ];
    let signal = output.status.signal()?;
    let (_, name) = fault.into_iter().find(|(fault, _)| fault.as_raw() == signal)?;
    Some(name.to_owned())
}

/// The first line of what it printed that has one of these signs.
pub(crate) fn sign(output: &Output, signs: &[&str]) -> Option<String> {
    let text = [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy);
    let mut lines = text.iter().flat_map(|text| text.lines());
    let line = lines.find(|line| signs.iter().any(|sign| line.contains(sign)))?;
    Some(line.trim().to_owned())
}

/// The first lines of Postgres' log that say why it stopped, if it did.
pub(crate) fn signs_of_death(log: &Path) -> String {
    const SIGNS: [&str; 3] = ["PANIC:", "was terminated by signal", "No space left"];
    let log = std::fs::read(log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines = log.lines().filter(|line| SIGNS.iter().any(|sign| line.contains(sign)));
    lines.take(5).collect::<Vec<_>>().join("\n")
}

#[expect(clippy::print_stderr, reason = "who runs one test alone sees it here")]
fn note(name: &str, why: &str) {
    let line = format!("{name} died of itself and was started once more: {why}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os(CRASHES) {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Runs a shell that ends differently each time; its last output, and how often it ran.
    async fn shell(scripts: [&str; 2]) -> (Output, u32) {
        let runs = AtomicU32::new(0);
        let make = |command: &mut Command| {
            let run = runs.fetch_add(1, Ordering::Relaxed) as usize;
            command.args(["-c", scripts[run]]);
        };
        let of_itself = |output: &Output| killed(output).or_else(|| sign(output, &["SystemError"]));
        // Not into the table of `make test`: these die on purpose.
        let noted = AtomicU32::new(0);
        let note = |_: &str, _: &str| {
            noted.fetch_add(1, Ordering::Relaxed);
        };
        let output = run_noting("sh", "sh", make, of_itself, note).await;
        let runs = runs.into_inner();
        assert_eq!(noted.into_inner(), runs - 1);
        (output, runs)
    }

    #[tokio::test]
    async fn a_tool_that_dies_of_itself_is_started_once_more() {
        for death in ["kill -SEGV $$", "echo SystemError: too deep >&2; exit 1"] {
            let (output, runs) = shell([death, "echo well"]).await;
            assert_eq!((output.stdout.as_slice(), runs), (&b"well\n"[..], 2), "{death}");
        }
        let (output, runs) = shell(["kill -SEGV $$", "kill -SEGV $$"]).await;
        assert!(!output.status.success() && runs == 2);
    }

    #[tokio::test]
    async fn a_tool_that_finds_something_is_believed() {
        for finding in ["echo a finding; exit 1", "kill -TERM $$"] {
            let (output, runs) = shell([finding, "exit 0"]).await;
            assert!(!output.status.success() && runs == 1, "{finding}");
        }
    }
}
