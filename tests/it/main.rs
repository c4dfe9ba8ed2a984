//! Black-box tests: one binary, one file a subject.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod adoption;
mod embedded_postgres;
mod support;
