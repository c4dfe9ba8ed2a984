//! Black-box tests, one binary; one file a subject.

mod actors;
mod adoption;
mod bench;
mod caches;
mod courier;
mod embedded_postgres;
mod mail;
mod nodes;
mod postgres_away;
mod refresh_properties;
mod session;
mod support;
