//! Mail: templates, the message, and the ways out.

pub mod builtin;
pub mod html;
pub mod inbox;
pub mod link_page;
pub mod message;
pub mod operator;
pub mod rendered;
pub mod sender;
pub mod smtp;
pub mod smtp_auth;
pub mod smtp_error;
pub mod templates;
