//! Black-box tests: one binary, one file a subject.

mod adoption;
mod embedded_postgres;
mod support;
