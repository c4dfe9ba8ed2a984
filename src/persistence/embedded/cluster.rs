//! The directories of a cluster: chosen, locked, initialised.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::identity::OsUser;
use super::programs::{self, Programs};
use super::{EmbeddedError, EmbeddedOptions};
use crate::persistence::settings::to_hex;

/// Everything needed to launch the server.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) programs: Programs,
    pub(super) identity: OsUser,
    pub(super) data_dir: PathBuf,
    /// Private and short-lived: the socket, and the whole cluster if it is thrown away.
    pub(super) run_dir: PathBuf,
    pub(super) log: PathBuf,
    pub(super) moved: bool,
    /// Held while this process uses the cluster.
    pub(super) lock: Option<File>,
}

/// Where clusters go whose asked-for place the server's user cannot reach.
const FALLBACK: &str = "/var/lib/keywright";

pub(super) fn prepare(options: &EmbeddedOptions) -> Result<Cluster, EmbeddedError> {
    match &options.data_dir {
        Some(data_dir) => prepare_dedicated(data_dir),
        None => prepare_throw_away(),
    }
}

fn prepare_throw_away() -> Result<Cluster, EmbeddedError> {
    let identity = OsUser::choose(Path::new(""))?;
    let programs = programs::find(Path::new(""))?;
    let run_dir = make_run_dir(identity)?;
    let data_dir = run_dir.join("data");
    let log = run_dir.join("log");
    let made = initialise(&programs, identity, &data_dir, false);
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&run_dir);
    }
    made?;
    Ok(Cluster { programs, identity, data_dir, run_dir, log, moved: false, lock: None })
}

fn prepare_dedicated(asked: &Path) -> Result<Cluster, EmbeddedError> {
    let parent = asked.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = make_dir(parent)?;
    let name = asked.file_name().unwrap_or_else(|| "postgres".as_ref());
    let wanted = parent.join(name);

    let identity = OsUser::choose(&wanted)?;
    let moved = !identity.can_reach(&parent);
    let data_dir = if moved { fallback(&wanted)? } else { wanted };
    let identity = OsUser::choose(&data_dir)?;
    let lock = lock(&data_dir)?;
    let programs = programs::find(&data_dir)?;
    if !data_dir.join("PG_VERSION").exists() {
        let fresh = with_suffix(&data_dir, ".new");
        if fresh.exists() {
            // An earlier initdb was interrupted.
            std::fs::remove_dir_all(&fresh).map_err(at(&fresh))?;
        }
        initialise(&programs, identity, &fresh, true)?;
        // Replaces an empty directory; anything else in the way is an error.
        std::fs::rename(&fresh, &data_dir).map_err(at(&data_dir))?;
    }
    let run_dir = make_run_dir(identity)?;
    let log = with_suffix(&data_dir, ".log");
    Ok(Cluster { programs, identity, data_dir, run_dir, log, moved, lock: Some(lock) })
}

/// The place for data that was wanted where the server cannot go; always the same for one path.
fn fallback(wanted: &Path) -> Result<PathBuf, EmbeddedError> {
    let path = wanted.as_os_str().as_encoded_bytes();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, path);
    let name = to_hex(&hash.as_ref()[..8]);
    Ok(make_dir(Path::new(FALLBACK))?.join(name))
}

fn make_dir(path: &Path) -> Result<PathBuf, EmbeddedError> {
    std::fs::create_dir_all(path).map_err(at(path))?;
    path.canonicalize().map_err(at(path))
}

/// A directory for the socket; short, because socket paths end at about 100 bytes.
fn make_run_dir(identity: OsUser) -> Result<PathBuf, EmbeddedError> {
    let path = PathBuf::from(format!("/tmp/keywright-{}", uuid::Uuid::new_v4().simple()));
    std::fs::DirBuilder::new().mode(0o700).create(&path).map_err(at(&path))?;
    identity.give(&path).map_err(at(&path))?;
    Ok(path)
}

fn lock(data_dir: &Path) -> Result<File, EmbeddedError> {
    let path = with_suffix(data_dir, ".lock");
    let file = File::create(&path).map_err(at(&path))?;
    // A process that is being started elsewhere has all our files until it runs its program.
    for _ in 0..10 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => pause(),
            Err(TryLockError::Error(cause)) => {
                return Err(EmbeddedError::Directory { path, cause });
            }
        }
    }
    Err(EmbeddedError::AlreadyRunning(data_dir.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "a lock of others tells nobody when it is free")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn initialise(
    programs: &Programs,
    identity: OsUser,
    data_dir: &Path,
    durable: bool,
) -> Result<(), EmbeddedError> {
    std::fs::DirBuilder::new().mode(0o700).create(data_dir).map_err(at(data_dir))?;
    identity.give(data_dir).map_err(at(data_dir))?;
    let program = programs.initdb();
    let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };
    let mut command = identity.command(&program);
    command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8"]);
    command.arg(format!("--locale={locale}")).arg("-D").arg(data_dir);
    if !durable {
        command.arg("--no-sync");
    }
    let output = command.stdin(Stdio::null()).output().map_err(|cause| EmbeddedError::Program {
        program: program.display().to_string(),
        cause,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(EmbeddedError::Initdb(last_line(&String::from_utf8_lossy(&output.stderr))))
}

/// The line of a log that says why, or its last one.
pub(super) fn last_line(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let why = lines.iter().rev().find(|line| line.contains("FATAL") || line.contains("error:"));
    why.or(lines.last()).map_or_else(|| "no message".to_owned(), |line| line.trim().to_owned())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError + use<> {
    let path = path.to_owned();
    move |cause| EmbeddedError::Directory { path, cause }
}
