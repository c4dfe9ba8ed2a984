//! What stands before several flows: bearer tokens, attempt counts, response-time padding.

pub mod attempts;
pub mod bearer;
pub mod response_padding;
