//! Sign-in by a code through SMS.

pub mod codes;
pub mod sign_in_passwordless_sms;
pub mod verify_sign_in_passwordless_sms;
