//! Which session a token belongs to, for tokens that this node issued or has seen.
//!
//! Cannot be wrong, because a row never changes its owner and every use ends in the conditional
//! `UPDATE`. Every refresh takes one entry out and puts one in.

use std::hash::{BuildHasherDefault, Hasher};

use moka::sync::Cache;

use crate::metrics::CacheStats;
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::SessionRef;

/// Memory of one entry, bookkeeping of the cache included (measured by
/// `a_session_takes_the_memory_that_is_said`).
const ENTRY_BYTES: u64 = 220;

/// Sessions by the hash of their current token, bounded in memory.
pub struct SessionCache {
    sessions: Cache<TokenHash, SessionRef, BuildHasherDefault<AsItIs>>,
    stats: CacheStats,
}

impl SessionCache {
    /// An empty cache of at most `mib` mebibytes.
    pub fn new(mib: u64) -> Self {
        let sessions = Cache::builder()
            .max_capacity(mib * 1_024 * 1_024 / ENTRY_BYTES)
            .build_with_hasher(BuildHasherDefault::default());
        Self { sessions, stats: CacheStats::default() }
    }

    /// The session, if it is known.
    pub fn get(&self, token: TokenHash) -> Option<SessionRef> {
        self.stats.note(self.sessions.get(&token))
    }

    /// Keeps the session of a current token.
    pub fn insert(&self, token: TokenHash, session: SessionRef) {
        self.sessions.insert(token, session);
    }

    /// Forgets a token that is not current any more.
    pub fn remove(&self, token: TokenHash) {
        self.sessions.invalidate(&token);
    }

    /// Its figures, and how many sessions it holds (about).
    pub fn figures(&self) -> (&CacheStats, u64) {
        (&self.stats, self.sessions.entry_count())
    }
}

/// A part of a SHA-256 is as random as a hash can be, so it is taken as it is: hashing it again, three
/// times an operation, cost more than the look-up.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(word);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}
