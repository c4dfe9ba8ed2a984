//! Every SQL statement, one file a table or purpose, and the Postgres server of our own.

pub mod adopt;
pub mod challenges;
pub mod changes;
pub mod claims;
pub mod connection_string;
pub mod credentials;
pub mod dedicated_connection;
pub mod diagnosis;
pub mod embedded;
pub mod grants;
pub mod health;
pub mod measured_pool;
pub mod migrate;
pub mod outbox;
pub mod pending_identity_links;
pub mod personal_access_tokens;
pub mod pool;
pub mod reference;
pub mod reference_sms_codes;
pub mod refresh_tokens;
pub mod security_keys;
pub mod settings;
pub mod tickets;
pub mod totp;
pub mod user_providers;
pub mod users;
