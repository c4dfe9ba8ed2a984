//! What tests share.

pub(crate) mod database;
pub(crate) mod smtp;
