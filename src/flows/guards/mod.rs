//! What several flows share: bearer tokens, live sessions, endings, attempt counts, response-time
//! padding.

pub mod attempts;
pub mod bearer;
pub mod endings;
pub mod live_session;
pub mod response_padding;
