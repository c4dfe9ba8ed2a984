//! What tests share.

pub(crate) mod admin;
pub(crate) mod app;
pub(crate) mod attestation;
pub(crate) mod authenticator;
pub(crate) mod ceremonies;
pub(crate) mod cluster;
pub(crate) mod env_file;
pub(crate) mod gate;
pub(crate) mod hasura;
pub(crate) mod hex;
pub(crate) mod http_simulator;
pub(crate) mod jwt;
pub(crate) mod key_pair;
pub(crate) mod link;
pub(crate) mod load;
pub(crate) mod logs;
pub(crate) mod mailbox;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod providers;
pub(crate) mod random;
pub(crate) mod security_key;
pub(crate) mod smtp;
pub(crate) mod soak;
pub(crate) mod tls_proxy;
pub(crate) mod two_nodes;
