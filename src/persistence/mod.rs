//! Every SQL statement, one file a table or purpose.

pub mod bench;
pub mod diagnosis;
pub mod health;
pub mod refresh_tokens;
pub mod tickets;
pub mod users;
