//! The commands of the `keywright` program, one module each.

pub mod bench;
pub mod terminal;
