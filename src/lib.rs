//! Keywright: an authentication server that speaks the Nhost Auth contract.
//!
//! `ARCHITECTURE.md` is the map. Calls go one way: `http -> flows -> actors -> persistence -> domain`.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clients;
pub mod config;
pub mod domain;
pub mod drain;
pub mod flows;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod hasura;
pub mod http;
pub mod http_client;
pub mod metrics;
pub mod node;
pub mod notify;
pub mod oauth;
pub mod passkeys;
pub mod passwords;
pub mod persistence;
pub mod reload;
pub mod sealing;
pub mod settings;
pub mod telemetry;
pub mod threads;
pub mod tokens;
pub mod totp;
pub mod vitals;
