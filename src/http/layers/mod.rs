//! What every request passes on its way to the router, outermost first: CORS, trace, rate
//! limits, admission, Turnstile.
//!
//! The services are always ready, so they are called without `poll_ready`; those that always do
//! something do not box.

pub mod admission;
pub mod buckets;
pub mod client_address;
pub mod cors;
pub mod rate_limit;
pub mod trace;
pub mod turnstile;

pub use admission::AdmissionLayer;
pub use cors::CorsLayer;
pub use rate_limit::RateLimitLayer;
pub use trace::TraceLayer;
pub use turnstile::TurnstileLayer;
