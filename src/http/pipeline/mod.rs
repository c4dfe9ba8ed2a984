//! The front end from layers over routing to the handler.

mod content_coding;
pub mod dispatch;
pub mod front_end;
pub mod router;
pub mod routing;
pub mod span;
