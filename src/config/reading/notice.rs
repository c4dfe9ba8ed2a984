//! What an operator should know about a configuration that works.

use std::fmt;

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    Info,
    /// Something is less secure, or will not work, though the configuration seems to ask for it.
    Warning,
}

/// One line for the log at start-up and after a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub level: NoticeLevel,
    /// The environment variable that it is about.
    pub variable: String,
    pub text: String,
}

impl Notice {
    pub(super) fn new(level: NoticeLevel, variable: &str, text: impl Into<String>) -> Self {
        Self { level, variable: variable.to_owned(), text: text.into() }
    }

    /// Writes it to the log at its level.
    pub fn log(&self) {
        let (setting, notice) = (self.variable.as_str(), self.text.as_str());
        match self.level {
            NoticeLevel::Info => tracing::info!(setting, notice, "configuration notice"),
            NoticeLevel::Warning => tracing::warn!(setting, notice, "configuration notice"),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.text)
    }
}
