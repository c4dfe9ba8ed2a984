//! argon2id in the PHC string format (RFC 9106; parameters as OWASP advises).

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};

use crate::config::PasswordsConfig;
use crate::domain::error::AuthError;

/// `$argon2id$v=19$m=…,t=…,p=…$salt$hash` with a random salt.
pub(super) fn hash(password: &[u8], config: &PasswordsConfig) -> Result<String, AuthError> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params(config)?);
    argon2
        .hash_password(password)
        .map(|hash| hash.to_string())
        .map_err(|error| AuthError::internal("password not hashed", error))
}

/// With the parameters of the stored hash. The comparison is constant-time.
pub(super) fn verify(password: &[u8], stored: &str) -> bool {
    Argon2::default().verify_password(password, stored).is_ok()
}

/// Whether the text can be verified at all, so that verifying it costs a hash.
pub(super) fn is_hash(stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| {
        hash.algorithm.as_str() == Algorithm::Argon2id.as_str()
            && hash.salt.is_some()
            && hash.hash.is_some()
            && Params::try_from(&hash).is_ok()
    })
}

/// Whether a hash has the parameters that are written.
pub(super) fn is_current(stored: &str, config: &PasswordsConfig) -> bool {
    let stored = PasswordHash::new(stored).ok().and_then(|hash| Params::try_from(&hash).ok());
    let wanted = params(config).ok();
    let key = |params: Params| (params.m_cost(), params.t_cost(), params.p_cost());
    stored.map(key) == wanted.map(key)
}

fn params(config: &PasswordsConfig) -> Result<Params, AuthError> {
    Params::new(config.argon2_memory_kib, config.argon2_iterations, config.argon2_parallelism, None)
        .map_err(|error| AuthError::internal("argon2 parameters refused", error))
}
