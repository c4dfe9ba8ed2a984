//! A session's life: tokens, claims, refresh, exchange, end.

mod access_token;
mod claims_of_user;
mod code_exchange;
mod custom_claims;
mod custom_claims_batches;
mod custom_claims_postgres;
mod endings;
mod pat;
mod refresh_plans;
mod refresh_promise;
mod refresh_properties;
mod round_trips;
mod session;
mod sign_in_caches;
mod sign_in_plans;
mod sign_out;
mod token;
mod token_verify;
mod unknown_sessions;
