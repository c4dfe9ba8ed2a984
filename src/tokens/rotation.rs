//! The trade of a refresh token for the next one.

use super::refresh_token::TokenHash;
use crate::domain::ids::{SessionId, UserId};

/// Where a refresh token belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionRef {
    pub session_id: SessionId,
    pub user_id: UserId,
}

/// A presented token and what replaces it, as stored.
///
/// Sorted by what is presented, which all nodes do alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotation {
    pub presented: TokenHash,
    pub next: TokenHash,
    /// Whose token it is, if that is known here.
    pub session: Option<SessionRef>,
}
