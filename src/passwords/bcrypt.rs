//! bcrypt, as the reference writes and reads it.

use bcrypt::{HashParts, Version};

use crate::config::PasswordsConfig;
use crate::domain::error::AuthError;

/// `$2a$<cost>$…`; the input has at most 72 bytes.
pub(super) fn hash(password: &[u8], config: &PasswordsConfig) -> Result<String, AuthError> {
    bcrypt::hash_with_result(password, config.bcrypt_cost)
        .map(|parts| parts.format_for_version(Version::TwoA))
        .map_err(|error| AuthError::internal("password not hashed", error))
}

/// Compares the first 72 bytes; every dialect and cost. The comparison is constant-time.
pub(super) fn verify(password: &[u8], stored: &str) -> bool {
    // The oldest prefix means the same as `2a` for text without its bug, which nobody can have.
    let stored =
        stored.strip_prefix("$2$").map(|rest| format!("$2a${rest}")).unwrap_or(stored.to_owned());
    bcrypt::verify(password, &stored).unwrap_or(false)
}

/// Whether a hash has at least the cost that is written.
pub(super) fn is_current(stored: &str, config: &PasswordsConfig) -> bool {
    stored.parse::<HashParts>().is_ok_and(|parts| parts.get_cost() >= config.bcrypt_cost)
}
