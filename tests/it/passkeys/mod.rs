//! `WebAuthn`: ceremonies, algorithms, attestation, browsers.

mod algorithms;
mod attestation;
mod browser;
mod ceremonies;
mod elevation;
mod load;
