//! `migrate` on every kind of database that an operator may have.

pub(crate) mod fixtures;
mod levels;
mod refusals;
mod roles;
