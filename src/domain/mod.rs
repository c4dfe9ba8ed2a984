//! Types and rules without I/O.

pub mod asked_by;
pub mod challenge;
pub mod claim_path;
pub mod clock;
pub mod code_challenge;
pub mod custom_claims;
pub mod email;
pub mod email_access;
pub mod error;
pub mod gravatar;
pub mod ids;
pub mod json;
pub mod locale;
pub mod mail;
pub mod phone;
pub mod random_secret;
pub mod rate_limit;
pub mod redirect;
mod redirect_pattern;
pub mod request_origin;
pub mod return_target;
pub mod roles;
pub mod security_key;
pub mod session_basis;
pub mod sign_up_options;
pub mod user;
