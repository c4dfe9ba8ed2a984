//! The front end: from a socket to a typed request, and from a result back to the contract's body.

pub mod admin;
pub mod bounds;
pub mod input;
pub mod layers;
pub mod message;
pub mod pipeline;
pub mod routes;
pub mod serve;

pub use self::input::extract::{Parameters, read_json, read_optional_json, read_query};
pub use self::message::error::error_response;
pub use self::message::request::ApiRequest;
pub use self::message::request_id::RequestId;
pub use self::message::response::ApiResponse;
pub use self::pipeline::front_end::{FrontEnd, FrontEndSettings};
pub use self::pipeline::router::{Router, RouterBuilder};
pub use self::serve::listener::bind;
pub use self::serve::server::{ServeSettings, ServerStats, serve};
