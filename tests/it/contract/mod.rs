//! The contract as a whole: its document, quirks, weaknesses, and clients that walk it.

mod caching;
mod cross_origin;
mod database_errors;
mod js_client;
mod openapi;
mod quirks;
mod schemathesis;
mod weaknesses;
