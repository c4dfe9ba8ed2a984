//! What several flows share: bearer tokens, live sessions, endings, attempt counts, limits of
//! recipients, whose pending flows are whose, response-time padding.

pub mod attempts;
pub mod bearer;
pub mod endings;
pub mod live_session;
pub mod network_key;
pub mod recipients;
pub mod response_padding;
