//! Keywright: an authentication server that speaks the Nhost Auth contract.
//!
//! `ARCHITECTURE.md` is the map. Calls go one way: `http -> flows -> actors -> persistence -> domain`.

pub mod actors;
pub mod config;
pub mod domain;
pub mod http;
pub mod notify;
pub mod persistence;
