//! The front end around a few handlers of its own: what clients, proxies and operators see.

mod bounds;
mod encodings;
mod harness;
mod layers;
mod limits;
mod parking;
mod shutdown;
mod strangers;
