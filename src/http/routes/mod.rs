//! One file a path.

pub mod dev_inbox;
