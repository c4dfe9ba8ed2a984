//! Every SQL statement, and the Postgres server of our own when there is no other.

pub mod adopt;
pub mod connection_string;
pub mod embedded;
pub mod grants;
pub mod migrate;
pub mod pool;
pub mod reference;
pub mod settings;
