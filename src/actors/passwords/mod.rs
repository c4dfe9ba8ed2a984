//! Password hashing on threads of its own, and how much of the machine it may take.

pub mod fair_queue;
pub mod hash_throttle;
pub mod password_hasher;
pub mod run_queue;

/// The name of the threads that hash, by which [`run_queue`] leaves them out.
const HASH_THREADS: &str = "password-hash";
