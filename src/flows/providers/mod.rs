//! Sign-in with external identity providers, and linking of identities.

pub mod accounts;
pub mod callback;
pub mod endpoints;
pub mod id_tokens;
pub mod start;
pub mod state;
pub mod tokens;
