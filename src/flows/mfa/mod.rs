//! TOTP as second factor: enrolment, use at sign-in, removal.

pub mod change_mfa;
pub mod generate_totp;
pub mod sign_in_mfa_totp;
pub mod totp;
