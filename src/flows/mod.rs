//! What each operation means: its checks in order, without SQL and without HTTP.

pub mod accounts;
pub mod email;
pub mod guards;
pub mod mfa;
pub mod passkeys;
pub mod passwords;
pub mod providers;
pub mod sessions;
pub mod sms;
pub mod tickets;
