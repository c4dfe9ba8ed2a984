//! All SQL.

pub mod bench;
