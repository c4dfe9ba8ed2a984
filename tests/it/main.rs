//! Black-box tests, one binary; one file a subject.

mod bench;
mod courier;
mod mail;
mod support;
