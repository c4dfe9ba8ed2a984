//! From the bytes of a request to typed input.

pub mod browser_cookies;
pub mod code_challenge;
pub mod code_field;
pub mod extract;
pub mod fields;
pub mod languages;
pub mod request_origin;
pub mod sign_up_options;
pub mod webauthn;
