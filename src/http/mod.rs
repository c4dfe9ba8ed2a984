//! The front end: from a socket to a typed request, and from a result back to the contract's body.

pub mod error;
pub mod extract;
pub mod fields;
pub mod json;
pub mod request;
pub mod request_id;
pub mod response;
pub mod router;

pub use error::error_response;
pub use extract::{Query, read_json, read_optional_json, read_query};
pub use request::ApiRequest;
pub use request_id::RequestId;
pub use response::ApiResponse;
pub use router::{Router, RouterBuilder};
