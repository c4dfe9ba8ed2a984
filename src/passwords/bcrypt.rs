//! bcrypt, as the reference writes and reads it.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use bcrypt::{HashParts, Version};

use crate::config::PasswordsConfig;
use crate::domain::error::AuthError;

/// Costs that the algorithm has; others are refused without work.
const COSTS: RangeInclusive<u32> = 4..=31;

/// `$2a$<cost>$…`; the input has at most 72 bytes.
pub(super) fn hash(password: &[u8], config: &PasswordsConfig) -> Result<String, AuthError> {
    bcrypt::hash_with_result(password, config.bcrypt_cost)
        .map(|parts| parts.format_for_version(Version::TwoA))
        .map_err(|error| AuthError::internal("password not hashed", error))
}

/// Compares the first 72 bytes; every dialect and cost. The comparison is constant-time.
pub(super) fn verify(password: &[u8], stored: &str) -> bool {
    bcrypt::verify(password, &with_dialect(stored)).unwrap_or(false)
}

/// Whether the text can be verified at all, so that verifying it costs a hash.
pub(super) fn is_hash(stored: &str) -> bool {
    with_dialect(stored).parse::<HashParts>().is_ok_and(|parts| COSTS.contains(&parts.get_cost()))
}

/// The oldest prefix means the same as `2a` for text without its bug, which nobody can have.
fn with_dialect(stored: &str) -> Cow<'_, str> {
    match stored.strip_prefix("$2$") {
        Some(rest) => format!("$2a${rest}").into(),
        None => stored.into(),
    }
}

/// Whether a hash has at least the cost that is written.
pub(super) fn is_current(stored: &str, config: &PasswordsConfig) -> bool {
    with_dialect(stored)
        .parse::<HashParts>()
        .is_ok_and(|parts| parts.get_cost() >= config.bcrypt_cost)
}
