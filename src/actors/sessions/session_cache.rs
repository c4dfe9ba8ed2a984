//! Which session a token belongs to, for tokens that this node issued or has seen.
//!
//! Cannot be wrong, because a row never changes its owner and every use ends in the conditional
//! `UPDATE`. Every refresh takes one entry out and puts one in, which is what this cache has to be
//! good at: `quick_cache` does both in place, where moka queues them for its housekeeper.

use quick_cache::sync::Cache;

use crate::metrics::CacheStats;
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::SessionRef;

/// Memory of one entry: key and value with their links, their share of the index, and what both
/// keep free for growing (measured by `a_session_takes_the_memory_that_is_said`).
const ENTRY_BYTES: u64 = 150;

/// Sessions by the hash of their current token, bounded in memory.
pub struct SessionCache {
    sessions: Cache<TokenHash, SessionRef>,
    stats: CacheStats,
}

impl SessionCache {
    /// An empty cache of at most `mib` mebibytes.
    pub fn new(mib: u64) -> Self {
        let most = usize::try_from(mib * 1_024 * 1_024 / ENTRY_BYTES).unwrap_or(usize::MAX);
        Self { sessions: Cache::new(most), stats: CacheStats::default() }
    }

    /// The session, if it is known.
    pub fn get(&self, token: TokenHash) -> Option<SessionRef> {
        self.stats.note(self.sessions.get(&token))
    }

    /// Keeps the session of a current token.
    pub fn insert(&self, token: TokenHash, session: SessionRef) {
        self.sessions.insert(token, session);
    }

    /// Bytes in use, with what is kept free for growing.
    pub fn memory_bytes(&self) -> usize {
        self.sessions.memory_used().total()
    }

    /// Its metrics, and how many sessions it holds.
    pub fn metrics(&self) -> (&CacheStats, u64) {
        (&self.stats, self.sessions.len() as u64)
    }

    /// Forgets a token that is not current any more.
    pub fn remove(&self, token: TokenHash) {
        self.sessions.remove(&token);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::actors::sessions::session_cache::*;
    use crate::domain::ids::{SessionId, UserId};

    fn token(n: u64) -> TokenHash {
        // Spread like a hash.
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        TokenHash(std::array::from_fn(|at| n[at % 8] ^ u8::try_from(at).unwrap()))
    }

    #[test]
    fn a_session_takes_the_memory_that_is_said() {
        const MIB: u64 = 8;
        let cache = SessionCache::new(MIB);
        let session =
            SessionRef { session_id: SessionId(Uuid::nil()), user_id: UserId(Uuid::nil()) };
        let fits = MIB * 1_024 * 1_024 / ENTRY_BYTES;
        for n in 0..4 * fits {
            cache.insert(token(n), session);
        }
        let kept = (0..4 * fits).filter(|n| cache.get(token(*n)).is_some()).count() as u64;
        assert!(kept > fits * 9 / 10, "{kept} of {fits}");
        let bytes = cache.memory_bytes() as u64;
        assert!(bytes <= MIB * 1_024 * 1_024, "{} bytes an entry", bytes / kept);
    }

    #[test]
    fn a_token_is_known_until_it_is_removed() {
        let cache = SessionCache::new(1);
        let session =
            SessionRef { session_id: SessionId(Uuid::nil()), user_id: UserId(Uuid::max()) };
        cache.insert(token(1), session);
        assert_eq!(cache.get(token(1)), Some(session));
        assert_eq!(cache.get(token(2)), None);
        cache.remove(token(1));
        assert_eq!(cache.get(token(1)), None);
    }
}
