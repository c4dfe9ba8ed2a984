//! Who asked for a ticket, which decides what using it may do.

use super::ids::SessionId;

/// Who asked for a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AskedBy {
    /// Somebody who knows the address.
    #[default]
    Anybody,
    /// Whoever registered, in the same transaction: nothing was set up before the ticket that its
    /// mail does not stand for.
    Registration,
    /// A session of the user; the ticket ends with it.
    Session {
        /// Unknown for tokens that the reference issued.
        id: Option<SessionId>,
        /// SHA-256 of what the browser keeps.
        browser_hash: Option<[u8; 32]>,
    },
}
