//! Black-box tests, one binary; one file a subject.

mod access_control;
mod access_token;
mod adoption;
mod anonymous;
mod bench;
mod conceal_errors;
mod courier;
mod embedded_postgres;
mod health;
mod jwks;
mod mail;
mod options;
mod session;
mod sign_in;
mod sign_out;
mod sign_up;
mod support;
mod token;
mod token_verify;
mod user;
mod verification_mail;
mod version;
