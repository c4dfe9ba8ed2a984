//! Which session a token belongs to, for tokens that this node issued or has seen.
//!
//! Cannot be wrong, because a row never changes its owner and every use ends in the conditional
//! `UPDATE`. Every refresh takes one entry out and puts one in, which is what this cache has to be
//! good at: `quick_cache` does both in place, where moka queues them for its housekeeper.

use quick_cache::sync::Cache;

use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::SessionRef;

/// Memory of one entry: key and value with their links, their share of the index, and what both
/// keep free for growing (measured by `a_session_takes_the_memory_that_is_said`).
const ENTRY_BYTES: u64 = 120;

/// Sessions by the hash of their current token, bounded in memory.
pub struct SessionCache {
    sessions: Cache<TokenHash, SessionRef>,
}

impl SessionCache {
    /// An empty cache of at most `mib` mebibytes.
    pub fn new(mib: u64) -> Self {
        let most = usize::try_from(mib * 1_024 * 1_024 / ENTRY_BYTES).unwrap_or(usize::MAX);
        Self { sessions: Cache::new(most) }
    }

    /// The session, if it is known.
    pub fn get(&self, token: TokenHash) -> Option<SessionRef> {
        self.sessions.get(&token)
    }

    /// Keeps the session of a current token.
    pub fn insert(&self, token: TokenHash, session: SessionRef) {
        self.sessions.insert(token, session);
    }

    /// Forgets a token that is not current any more.
    pub fn remove(&self, token: TokenHash) {
        self.sessions.remove(&token);
    }
}
