//! Black-box tests, one binary; one file a subject.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod adoption;
mod bench;
mod courier;
mod embedded_postgres;
mod front_end;
mod mail;
mod session;
mod support;
