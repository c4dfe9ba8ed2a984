//! TOTP.

mod totp;
