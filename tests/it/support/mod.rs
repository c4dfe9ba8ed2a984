//! What tests share.

pub(crate) mod app;
pub(crate) mod authenticator;
pub(crate) mod cluster;
pub(crate) mod gate;
pub(crate) mod hasura;
pub(crate) mod http_simulator;
pub(crate) mod jwt;
pub(crate) mod link;
pub(crate) mod load;
pub(crate) mod logs;
pub(crate) mod mailbox;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod security_key;
pub(crate) mod smtp;
pub(crate) mod soak;
pub(crate) mod two_nodes;
