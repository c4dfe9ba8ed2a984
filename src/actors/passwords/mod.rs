//! Password hashing on threads of its own, and how much of the machine it may take.

pub mod hash_throttle;
pub mod password_hasher;
