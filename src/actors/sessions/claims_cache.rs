//! Custom claims of users, cached for a short time; `flows/sessions/custom_claims.rs` fills it.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use moka::sync::Cache;
use time::OffsetDateTime;

use super::cached_user::CachedUser;
use crate::domain::custom_claims::CustomClaims;
use crate::domain::ids::UserId;
use crate::metrics::CacheStats;
use crate::persistence::claims::ClaimsQuery;
use crate::tokens::access_token::UserClaims;

/// Memory of the claims of all users, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Names and texts.
pub type Pairs = Arc<[(String, String)]>;

/// Custom claims by user; one per server.
#[derive(Clone)]
pub struct ClaimsCache {
    entries: Cache<UserId, Arc<CachedClaims>>,
    pub stats: Arc<CacheStats>,
    /// The statement for the settings that it was made for.
    pub query: Arc<ArcSwapOption<PreparedQuery>>,
}

pub struct PreparedQuery {
    pub settings: Weak<CustomClaims>,
    pub query: ClaimsQuery,
}

impl Default for ClaimsCache {
    fn default() -> Self {
        let entries = Cache::builder()
            .weigher(|_, entry: &Arc<CachedClaims>| {
                u32::try_from(entry.weight()).unwrap_or(u32::MAX)
            })
            .max_capacity(CACHE_BYTES)
            .build();
        Self { entries, stats: Arc::default(), query: Arc::default() }
    }
}

impl ClaimsCache {
    /// What was found out about this user last.
    pub fn get(&self, user: UserId) -> Option<Arc<CachedClaims>> {
        self.entries.get(&user)
    }

    /// Keeps what was found out, unless something newer is there already.
    pub fn keep(&self, user: UserId, claims: &Arc<CachedClaims>) {
        if claims.is_of_row || self.get(user).is_none_or(|kept| kept.asked_at <= claims.asked_at) {
            self.entries.insert(user, Arc::clone(claims));
        }
    }

    /// Its metrics, how many users it holds, and their memory in bytes (both about).
    pub fn metrics(&self) -> (&CacheStats, u64, u64) {
        (&self.stats, self.entries.entry_count(), self.entries.weighted_size())
    }
}

/// What was found out about a user, prepared for tokens; also that nothing was.
pub struct CachedClaims {
    pub asked_at: OffsetDateTime,
    /// The settings that it was made for.
    pub settings: Weak<CustomClaims>,
    /// The row that `prepared` was made from: another row needs another entry.
    pub user: Weak<CachedUser>,
    /// It was made from that row alone, so that it is as new as the row.
    pub is_of_row: bool,
    prepared: UserClaims,
    pairs: Pairs,
    /// Values from the last query that succeeded, and when.
    pub good: Option<(OffsetDateTime, Pairs)>,
}

impl CachedClaims {
    fn weight(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(name, text)| name.len() + text.len() + 48).sum();
        size_of::<Self>() + self.prepared.weight() + pairs
    }

    /// The claims of the user whose row this was made from, who is not elevated.
    pub fn prepared(&self) -> &UserClaims {
        &self.prepared
    }

    /// Those of `user`, who is elevated or not; `None` if they are [`Self::prepared`].
    pub fn others(&self, user: &Arc<CachedUser>, is_elevated: bool) -> Option<UserClaims> {
        (is_elevated || !is_same(&self.user, user))
            .then(|| user.claims_with(&self.pairs, is_elevated))
    }
}

/// Whether `held` still points to `current`.
pub fn is_same<T>(held: &Weak<T>, current: &Arc<T>) -> bool {
    std::ptr::eq(held.as_ptr(), Arc::as_ptr(current))
}

impl CachedClaims {
    /// Prepares the claims of `user` from `pairs`, which are of this row of theirs, as it was then.
    pub fn of_row(
        read_at: OffsetDateTime,
        user: &Arc<CachedUser>,
        custom: &Arc<CustomClaims>,
        pairs: Pairs,
    ) -> Self {
        let good = Some((read_at, Arc::clone(&pairs)));
        Self { is_of_row: true, ..Self::new(read_at, user, custom, pairs, good) }
    }

    /// Prepares the claims of `user` from `pairs`.
    pub fn new(
        asked_at: OffsetDateTime,
        user: &Arc<CachedUser>,
        custom: &Arc<CustomClaims>,
        pairs: Pairs,
        good: Option<(OffsetDateTime, Pairs)>,
    ) -> Self {
        Self {
            asked_at,
            settings: Arc::downgrade(custom),
            user: Arc::downgrade(user),
            is_of_row: false,
            prepared: user.claims_with(&pairs, false),
            pairs,
            good,
        }
    }
}
