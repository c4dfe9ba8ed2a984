//! `WebAuthn`: sign-up, sign-in, elevation, and the keys of a user.

pub mod add_security_key;
pub mod ceremonies;
pub mod elevate_webauthn;
mod made_up;
pub mod security_keys;
pub mod sign_in_webauthn;
pub mod sign_up_webauthn;
