//! `WebAuthn`: ceremonies, algorithms, attestation, browsers, and what strangers can do.

mod algorithms;
mod attestation;
mod browser;
mod browser_objects;
mod ceremonies;
mod elevation;
mod load;
mod strangers;
mod user_verification;
