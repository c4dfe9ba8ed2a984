//! The front end: from a socket to a typed request, and from a result back to the contract's body.

pub mod access_log;
pub mod admin;
pub mod browser_cookies;
pub mod buckets;
pub mod call;
pub mod calling_page;
pub mod client_address;
pub mod code_challenge;
pub mod connection;
pub mod dispatch;
pub mod error;
pub mod extract;
pub mod fields;
pub mod front_end;
pub mod layers;
pub mod listener;
pub mod providers;
pub mod request;
pub mod request_id;
pub mod response;
pub mod router;
pub mod routes;
pub mod server;
pub mod sign_up_options;
pub mod span;
pub mod webauthn;

pub use error::error_response;
pub use extract::{Parameters, read_json, read_optional_json, read_query};
pub use front_end::{FrontEnd, FrontEndSettings};
pub use listener::bind;
pub use request::ApiRequest;
pub use request_id::RequestId;
pub use response::ApiResponse;
pub use router::{Router, RouterBuilder};
pub use server::{ServeSettings, ServerStats, serve};
