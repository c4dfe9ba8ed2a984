//! A session's life: start, refresh, verification, exchange of codes, end.

pub mod create_pat;
pub mod custom_claims;
pub mod exchange_code;
pub mod refresh;
pub mod session;
pub mod sign_in_pat;
pub mod sign_in_result;
pub mod sign_out;
pub mod verify_token;
