//! Password hashing on threads of its own, and how much of the machine it may take.

pub mod hash_pace;
pub mod password_hasher;
