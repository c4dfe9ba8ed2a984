//! The front end.

pub mod routes;
