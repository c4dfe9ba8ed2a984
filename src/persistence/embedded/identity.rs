//! Which operating-system user runs the server: Postgres refuses root.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use super::EmbeddedError;

/// The user of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OsUser {
    /// We are unprivileged: the server is what we are.
    Ours,
    /// We are root: the server is this user.
    Other { uid: u32, gid: u32 },
}

impl OsUser {
    /// The owner of data that exists, else `postgres`, else `nobody`; ourselves unless root.
    pub(super) fn choose(data_dir: &Path) -> Result<Self, EmbeddedError> {
        if !geteuid().is_root() {
            return Ok(Self::Ours);
        }
        if let Ok(data) = std::fs::metadata(data_dir.join("PG_VERSION"))
            && data.uid() != 0
        {
            return Ok(Self::Other { uid: data.uid(), gid: data.gid() });
        }
        ["postgres", "nobody"].iter().find_map(|name| Self::find(name)).ok_or(EmbeddedError::NoUser)
    }

    /// A user by name. The program `id` asks wherever this machine keeps its users, which is not
    /// always a file.
    fn find(name: &str) -> Option<Self> {
        let number = |which| {
            let output = Command::new("id").args([which, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        Some(Self::Other { uid: number("-u")?, gid: number("-g")? })
    }

    /// Whether this user can walk to this path; every part of it must exist.
    pub(super) fn can_reach(self, path: &Path) -> bool {
        let Self::Other { uid, gid } = self else { return true };
        path.ancestors().all(|part| {
            std::fs::metadata(part).is_ok_and(|meta| {
                let bit = if meta.uid() == uid {
                    0o100
                } else if meta.gid() == gid {
                    0o010
                } else {
                    0o001
                };
                meta.permissions().mode() & bit != 0
            })
        })
    }

    /// Makes this user the owner.
    pub(super) fn give(self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }

    /// A command that runs as this user, in a directory that every user can enter.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        if let Self::Other { uid, gid } = self {
            // Supplementary groups are dropped along with root.
            command.uid(uid).gid(gid);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_closed_to_others_cannot_be_reached_by_them() {
        let dir = std::env::temp_dir().join(format!("kw-reach-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(dir.join("inner")).unwrap();
        let nobody = OsUser::Other { uid: 65_534, gid: 65_534 };
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(nobody.can_reach(&dir.join("inner")));
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
        assert!(!nobody.can_reach(&dir.join("inner")));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
