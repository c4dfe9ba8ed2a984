//! Black-box tests, one binary; one file a path.

mod courier;
mod mail;
mod support;
