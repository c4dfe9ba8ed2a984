//! All SQL, one file a table or aggregate.

pub mod outbox;
