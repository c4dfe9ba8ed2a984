//! Black-box tests, one binary; one file a subject.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod access_control;
mod access_token;
mod actors;
mod adoption;
mod anonymous;
mod attempts;
mod bench;
mod caches;
mod change_env;
mod conceal_errors;
mod contract;
mod courier;
mod custom_claims;
mod embedded_postgres;
mod front_end;
mod health;
mod js_client;
mod jwks;
mod mail;
mod mfa;
mod nodes;
mod options;
mod pat;
mod postgres_away;
mod rate_limits;
mod refresh_properties;
mod session;
mod settings;
mod sign_in;
mod sign_out;
mod sign_up;
mod storage_forms;
mod support;
mod timing;
mod token;
mod token_verify;
mod user;
mod verification_mail;
mod version;
