//! Finds the programs of Postgres on this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// A directory with `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    pub(super) bin: PathBuf,
}

impl Programs {
    pub(super) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    /// `15` for 15.8; `None` if the program does not say.
    fn major_version(&self) -> Option<String> {
        let output = Command::new(self.postgres()).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let number = text.split_whitespace().nth(2)?;
        let major: String = number.chars().take_while(char::is_ascii_digit).collect();
        (!major.is_empty()).then_some(major)
    }
}

/// The programs for this cluster: of the version that made its data, or the newest found.
pub(super) fn find(data_dir: &Path) -> Result<Programs, EmbeddedError> {
    let candidates = candidates();
    if let Ok(wanted) = std::fs::read_to_string(data_dir.join("PG_VERSION")) {
        let wanted = wanted.trim().to_owned();
        return candidates
            .into_iter()
            .find(|programs| programs.major_version().as_deref() == Some(&wanted))
            .ok_or_else(|| EmbeddedError::WrongVersion { path: data_dir.to_owned(), wanted });
    }
    candidates.into_iter().next().ok_or(EmbeddedError::NotInstalled)
}

/// PATH, `pg_config`, then the usual places of Debian, Red Hat and Homebrew, newest first.
fn candidates() -> Vec<Programs> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = std::env::split_paths(&path).collect();
    found.extend(pg_config());
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@"),
    ] {
        found.extend(newest_first(Path::new(parent), prefix));
    }
    found
        .into_iter()
        .filter(|bin| bin.is_absolute())
        .map(|bin| Programs { bin })
        .filter(|programs| programs.postgres().is_file() && programs.initdb().is_file())
        .collect()
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(text.trim()))
}

/// `<parent>/<prefix><number>/bin`, by number.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let parent = std::env::temp_dir().join(format!("kw-bins-{}", uuid::Uuid::new_v4()));
        for version in ["9", "16", "15", "common"] {
            std::fs::create_dir_all(parent.join(version)).unwrap();
        }
        let found = newest_first(&parent, "");
        std::fs::remove_dir_all(&parent).unwrap();
        let expected: Vec<_> =
            ["16", "15", "9"].iter().map(|v| parent.join(v).join("bin")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn data_of_a_version_that_is_missing_names_what_to_install() {
        let dir = std::env::temp_dir().join(format!("kw-version-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("PG_VERSION"), "8\n").unwrap();
        let error = find(&dir).unwrap_err();
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(error.to_string().contains("postgresql"), "{error}");
        assert!(error.to_string().contains('8'), "{error}");
    }
}
