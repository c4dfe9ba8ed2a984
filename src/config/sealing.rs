//! The key of secrets at rest.

use secrecy::SecretString;

use super::reader::Reader;
use crate::sealing::check_key;

/// The key of secrets at rest.
#[derive(Clone, Debug)]
pub struct SealingConfig {
    /// `AUTH_ENCRYPTION_KEY`, hexadecimal as configured; unset: kept in the database.
    pub key: Option<SecretString>,
}

impl SealingConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let key = reader.optional_secret("AUTH_ENCRYPTION_KEY");
        if let Some(Err(error)) = key.as_ref().map(check_key) {
            reader.refuse("AUTH_ENCRYPTION_KEY", error);
        }
        Self { key }
    }
}
