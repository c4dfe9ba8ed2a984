//! Access tokens and their keys, the refresh-token chain, and tickets.

pub mod access_token;
pub mod chain;
mod key_material;
pub mod key_ring;
pub mod keys;
pub mod refresh_token;
pub mod rotation;
pub mod ticket;
pub mod verify;
