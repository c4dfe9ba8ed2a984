//! Identities of external providers: `OAuth` 2, `OAuth` 1.0a and `OpenID` Connect towards
//! providers.
//!
//! A provider is data and one mapping function, a file in `providers/`. What is done with them is
//! the same for all: `client` speaks to their endpoints, `id_token` verifies what they sign.

pub mod apple_secret;
pub mod client;
pub mod configured;
pub mod discovery;
mod fetch;
pub mod id_token;
mod json;
pub mod jwks;
pub mod oauth1;
pub mod profile;
pub mod provider;
pub mod providers;
pub mod token_response;

/// What is known of issuers, kept as long as it may be; cheap to clone.
#[derive(Clone, Default)]
pub struct Issuers {
    pub keys: jwks::IssuerKeys,
    pub discovery: discovery::Discovery,
}
