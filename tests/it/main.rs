//! Black-box tests, one binary; one file a subject.

mod adoption;
mod bench;
mod courier;
mod embedded_postgres;
mod front_end;
mod mail;
mod session;
mod support;
