//! The contract as a whole: its document, quirks, weaknesses, and clients that walk it.

mod caching;
mod js_client;
mod openapi;
mod quirks;
mod schemathesis;
mod weaknesses;
