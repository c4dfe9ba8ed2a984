//! `migrate` on every kind of database that an operator may have.

mod additions;
pub(crate) mod fixtures;
mod levels;
mod refusals;
mod roles;
