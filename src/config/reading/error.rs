//! What is wrong with the configuration, in words that name the setting to change.

use std::fmt;

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The environment variable to change.
    pub variable: String,
    /// A line that names the variable; never the value of a secret.
    pub message: String,
}

impl ConfigError {
    /// `reason` in a line that begins with the variable.
    pub fn about(variable: &str, reason: impl fmt::Display) -> Self {
        Self { variable: variable.to_owned(), message: format!("{variable}: {reason}") }
    }
}

/// Everything that is wrong, so that it can be corrected in one go; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
