//! The rows of the table of settings: one file for each file of `sections/`, of the same name.
//!
//! A row is a constant, which has the name of its variable without `AUTH_`, and stands in a table of
//! its file; `table.rs` says under which heading each of these is shown. `legacy` and
//! `oauth2_server` have no section, since nothing reads them.

pub(crate) mod accounts;
pub(crate) mod actors;
pub(crate) mod admin;
pub(crate) mod claims;
pub(crate) mod database;
pub(crate) mod hasura;
pub(crate) mod housekeeping;
pub(crate) mod legacy;
pub(crate) mod mail;
pub(crate) mod methods;
pub(crate) mod oauth2_server;
pub(crate) mod passwords;
pub(crate) mod protection;
pub(crate) mod providers;
pub(crate) mod recipients;
pub(crate) mod runtime;
pub(crate) mod sealing;
pub(crate) mod server;
pub(crate) mod sms;
pub(crate) mod tokens;
pub(crate) mod traces;
pub(crate) mod webauthn;
