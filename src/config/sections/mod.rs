//! The settings of one subject each, typed: what is read is checked here and nowhere else.

pub(super) mod accounts;
pub(super) mod actors;
pub(super) mod admin;
pub(super) mod claims;
pub(super) mod database;
pub(super) mod hasura;
pub(super) mod housekeeping;
pub(super) mod mail;
pub(super) mod methods;
pub(super) mod passwords;
pub(super) mod protection;
pub(super) mod providers;
pub(super) mod recipients;
pub(super) mod runtime;
pub(super) mod sealing;
pub(super) mod server;
pub(super) mod sms;
pub(super) mod tokens;
pub(super) mod traces;
pub(super) mod webauthn;
