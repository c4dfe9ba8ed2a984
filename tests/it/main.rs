//! Black-box tests, one binary; one file a subject.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the result")]

mod accounts;
mod adoption;
mod contract;
mod email;
mod endurance;
mod front_end;
mod guards;
mod mfa;
mod node;
mod operations;
mod passkeys;
mod passwords;
mod providers;
mod sessions;
mod sms;
mod support;
