//! Types and rules without I/O.

pub mod clock;
pub mod error;
pub mod ids;
