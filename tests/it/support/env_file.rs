//! The file of settings that a server reads again when it is told to (`AUTH_ENV_FILE`).

use std::path::PathBuf;

use uuid::Uuid;

/// Deleted when dropped.
pub(crate) struct EnvFile(PathBuf);

impl EnvFile {
    pub(crate) fn new(text: &str) -> Self {
        let name = format!("keywright-{}.env", Uuid::new_v4().simple());
        let file = Self(std::env::temp_dir().join(name));
        file.write(text);
        file
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("made of plain characters")
    }

    /// Replaces what is in it.
    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
