//! Black-box tests, one binary; one file a subject.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod adoption;
mod anonymous;
mod bench;
mod courier;
mod embedded_postgres;
mod front_end;
mod mail;
mod refresh_properties;
mod session;
mod sign_in;
mod sign_out;
mod sign_up;
mod support;
mod token;
mod token_verify;
mod user;
mod version;
