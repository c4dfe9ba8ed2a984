//! The key of secrets at rest.

use secrecy::SecretString;

use crate::config::reading::Reader;
use crate::config::rows;
use crate::sealing::check_key;

/// The key of secrets at rest.
#[derive(Clone, Debug)]
pub struct SealingConfig {
    /// `AUTH_ENCRYPTION_KEY`, hexadecimal as configured; unset: kept in the database.
    pub key: Option<SecretString>,
}

impl SealingConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let key = reader.optional_secret(&rows::sealing::ENCRYPTION_KEY);
        if let Some(Err(error)) = key.as_ref().map(check_key) {
            reader.refuse(&rows::sealing::ENCRYPTION_KEY, error);
        }
        Self { key }
    }
}
