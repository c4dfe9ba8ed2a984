//! External identity providers.

mod accounts;
mod apple;
mod clients;
mod connect;
mod custom_provider;
mod failures;
mod id_tokens;
mod outages;
mod profiles;
mod start;
mod state;
mod tokens;
mod twitter;
