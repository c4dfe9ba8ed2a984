//! What tests share.

pub(crate) mod app;
pub(crate) mod jwt;
pub(crate) mod mailbox;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod smtp;
