//! What all requests together may take, and how much of it one client network.
//!
//! Whoever is beyond a bound is refused at once, so that one client cannot keep others out.

pub mod byte_budget;
pub mod shares;
