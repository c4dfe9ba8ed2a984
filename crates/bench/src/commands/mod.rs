//! The commands that put load on servers, one file each.

pub mod closed;
pub mod mix;
pub mod refresh;
pub mod sign_in;
pub mod sign_up;
pub mod spread;
