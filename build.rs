//! Tells the program what it was built from: profile, commit and the commit's date.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script has no settings but its environment"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

const UNKNOWN: &str = "unknown";

fn main() {
    // Without one such line cargo would run this at every change of any file.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=KEYWRIGHT_PROFILE={}", profile());

    let commit = Commit::given()
        .or_else(Commit::of_checkout)
        .unwrap_or_else(|| Commit { id: UNKNOWN.to_owned(), date: UNKNOWN.to_owned() });
    println!("cargo::rustc-env=KEYWRIGHT_COMMIT={}", commit.id);
    println!("cargo::rustc-env=KEYWRIGHT_COMMIT_DATE={}", commit.date);
}

/// The name of the profile. Cargo's `PROFILE` is the one that it inherits from in the end, `debug` or
/// `release`; only the directory has the name itself: `target/dist/build/keywright-…/out`.
fn profile() -> String {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let build = out.ancestors().find(|path| path.file_name().is_some_and(|name| name == "build"));
    let folder = build.and_then(Path::parent).and_then(Path::file_name);
    match folder.and_then(|name| name.to_str()) {
        Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
        None => UNKNOWN.to_owned(),
    }
}

struct Commit {
    id: String,
    date: String,
}

impl Commit {
    /// From the environment, for builds of a tree without its repository.
    fn given() -> Option<Self> {
        let read = |name| {
            println!("cargo::rerun-if-env-changed={name}");
            std::env::var(name).ok().filter(|value| !value.trim().is_empty())
        };
        let (id, date) = (read("KEYWRIGHT_COMMIT"), read("KEYWRIGHT_COMMIT_DATE"));
        Some(Self { id: id?, date: date.unwrap_or_else(|| UNKNOWN.to_owned()) })
    }

    /// From the repository that this tree is the checkout of; not from one that merely surrounds it.
    fn of_checkout() -> Option<Self> {
        let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
        let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?).canonicalize().ok()?;
        if top != here {
            return None;
        }
        // The log of the head grows with every commit and checkout. A path that does not exist would
        // run this every time.
        for name in ["HEAD", "logs/HEAD"] {
            if let Some(path) = git(&["rev-parse", "--git-path", name])
                && Path::new(&path).exists()
            {
                println!("cargo::rerun-if-changed={path}");
            }
        }
        let said =
            git(&["-c", "log.showSignature=false", "log", "-1", "--abbrev=12", "--format=%h %cs"])?;
        let (id, date) = said.split_once(' ')?;
        Some(Self { id: id.to_owned(), date: date.to_owned() })
    }
}

/// What git prints; nothing where there is no git, or it refuses.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
