//! Sockets: listening, connections, draining.

pub mod connection;
pub mod listener;
pub mod server;
