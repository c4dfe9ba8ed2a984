//! What every request passes on its way to its handler, outermost first: CORS, no-store, trace, routing
//! (`pipeline/routing.rs`), rate limits, admission, Turnstile.
//!
//! A layer is a [`middleware::Middleware`]. The services are always ready, so they are called without
//! `poll_ready`.

pub mod admission;
pub mod buckets;
pub mod client_address;
pub mod cors;
pub mod local;
pub mod middleware;
pub mod no_store;
pub mod prefetch;
pub mod proxy_watch;
pub mod rate_limit;
pub mod trace;
pub mod turnstile;
