//! What every request passes on its way to the router, outermost first: CORS, trace, admission.
//!
//! The services are always ready, so they are called without `poll_ready`; none of them boxes.

pub mod admission;
pub mod cors;
pub mod trace;

pub use admission::AdmissionLayer;
pub use cors::CorsLayer;
pub use trace::TraceLayer;
