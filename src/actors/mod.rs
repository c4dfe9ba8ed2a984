//! The supervision tree and every actor in it.

pub mod courier;
pub mod handle;
