//! Password rules and hashing.

use super::runtime::cores_but_one;
use crate::config::reading::Reader;
use crate::config::rows;

/// Password rules and hashing.
#[derive(Clone, Debug)]
pub struct PasswordsConfig {
    /// `AUTH_PASSWORD_MIN_LENGTH`, bytes.
    pub min_length: usize,
    /// `AUTH_PASSWORD_CHANGE_ENDS` (ours).
    pub change_ends: ChangeEnds,
    /// `AUTH_PASSWORD_ARGON2_MEMORY_KIB` (ours), default 19 456 (OWASP).
    pub argon2_memory_kib: u32,
    /// `AUTH_PASSWORD_ARGON2_ITERATIONS` (ours), default 2 (OWASP).
    pub argon2_iterations: u32,
    /// `AUTH_PASSWORD_ARGON2_PARALLELISM` (ours), default 1 (OWASP).
    pub argon2_parallelism: u32,
    /// `AUTH_PASSWORD_BCRYPT_COST` (ours), default 10 as the reference.
    pub bcrypt_cost: u32,
    /// `AUTH_PASSWORD_HASH_THREADS` (ours): hashes at once; default one less than cores, at
    /// least one, so that a sign-in burst leaves a core to those who have a session.
    pub threads: usize,
    /// `AUTH_PASSWORD_HASH_QUEUE` (ours): waiting hashes before 503 for the client network that has
    /// the most of them, default 256.
    pub queue: usize,
    /// `AUTH_PASSWORD_HASH_LEAST_SHARE` (ours, percent): the part of the time for which hashes run
    /// even while threads that serve wait for a core, default 0.75.
    pub least_share: f64,
}

/// `AUTH_PASSWORD_CHANGE_ENDS`: what a new password puts an end to
/// (docs/reference-behaviour.md#new-password-ends-sessions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeEnds {
    Nothing,
    /// Every session but the one that changed it.
    Sessions,
    /// Personal access tokens too.
    SessionsAndTokens,
    /// Security keys and identities too, but for the key that the session came from.
    Everything,
}

impl PasswordsConfig {
    /// Hashes that run and hashes that wait, together.
    pub fn max_in_flight(&self) -> usize {
        self.queue + self.threads
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let parallelism = reader.number(&rows::passwords::PASSWORD_ARGON2_PARALLELISM, 1..=255);
        // RFC 9106, section 3.1, with an upper end that keeps one hash from taking the machine.
        let memory =
            reader.number(&rows::passwords::PASSWORD_ARGON2_MEMORY_KIB, 8..=4 * 1024 * 1024);
        if memory < 8 * parallelism {
            reader.refuse(
                &rows::passwords::PASSWORD_ARGON2_MEMORY_KIB,
                format!("{memory} KiB is less than 8 KiB for each of {parallelism} lanes"),
            );
        }
        Self {
            min_length: reader.number(&rows::passwords::PASSWORD_MIN_LENGTH, 0..=50),
            change_ends: match reader.choice(&rows::passwords::PASSWORD_CHANGE_ENDS) {
                Some("nothing") => ChangeEnds::Nothing,
                Some("sessions-and-pats") => ChangeEnds::SessionsAndTokens,
                Some("everything") => ChangeEnds::Everything,
                _ => ChangeEnds::Sessions,
            },
            argon2_memory_kib: memory,
            argon2_iterations: reader
                .number(&rows::passwords::PASSWORD_ARGON2_ITERATIONS, 1..=1_000),
            argon2_parallelism: parallelism,
            bcrypt_cost: reader.number(&rows::passwords::PASSWORD_BCRYPT_COST, 4..=31),
            threads: reader
                .optional_number(&rows::passwords::PASSWORD_HASH_THREADS, 1..=1_024)
                .unwrap_or_else(cores_but_one),
            queue: reader.number(&rows::passwords::PASSWORD_HASH_QUEUE, 1..=1_000_000),
            least_share: f64::from(
                reader.number(&rows::passwords::PASSWORD_HASH_LEAST_SHARE, 1..=100),
            ) / 100.0,
        }
    }
}
