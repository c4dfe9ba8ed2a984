//! Sockets: listening, connections, draining.

pub mod connection;
pub mod connections;
pub mod file_limit;
pub mod listener;
pub mod outgoing;
pub mod parking;
pub mod server;
