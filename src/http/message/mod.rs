//! Requests, responses, their ids and the error body.

pub mod call;
pub mod error;
pub mod request;
pub mod request_id;
pub mod response;
pub mod route;
