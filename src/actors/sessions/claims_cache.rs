//! Custom claims of users, remembered for a moment; `flows/sessions/custom_claims.rs` fills it.

use std::borrow::Cow;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use moka::future::Cache;
use time::OffsetDateTime;

use super::cached_user::CachedUser;
use crate::domain::custom_claims::CustomClaims;
use crate::domain::ids::UserId;
use crate::metrics::CacheStats;
use crate::persistence::claims::ClaimsQuery;
use crate::tokens::access_token::UserClaims;

/// Memory of the answers of all users, in bytes.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Names and texts.
pub type Pairs = Arc<[(String, String)]>;

/// Answers by user; one per server.
#[derive(Clone)]
pub struct ClaimsCache {
    pub answers: Cache<UserId, Arc<Answer>>,
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
        let answers = Cache::builder()
            .weigher(|_, answer: &Arc<Answer>| u32::try_from(answer.weight()).unwrap_or(u32::MAX))
            .max_capacity(CACHE_BYTES)
            .build();
        Self { answers, stats: Arc::default(), query: Arc::default() }
    }
}

impl ClaimsCache {
    /// Its figures, how many answers it holds, and their memory in bytes (both about).
    pub fn figures(&self) -> (&CacheStats, u64, u64) {
        (&self.stats, self.answers.entry_count(), self.answers.weighted_size())
    }
}

/// What was found out about a user, prepared for tokens; also that nothing was.
pub struct Answer {
    pub asked_at: OffsetDateTime,
    /// The settings that it answers.
    pub settings: Weak<CustomClaims>,
    /// The row that `prepared` was made from: another one, another answer.
    pub user: Weak<CachedUser>,
    prepared: UserClaims,
    pairs: Pairs,
    /// Values that came from an answer, and when.
    pub good: Option<(OffsetDateTime, Pairs)>,
}

impl Answer {
    fn weight(&self) -> usize {
        let pairs: usize = self.pairs.iter().map(|(name, text)| name.len() + text.len() + 48).sum();
        size_of::<Self>() + self.prepared.weight() + pairs
    }

    /// The claims of `user`, who is elevated or not.
    pub fn claims(&self, user: &Arc<CachedUser>, is_elevated: bool) -> Cow<'_, UserClaims> {
        if !is_elevated && is_same(&self.user, user) {
            Cow::Borrowed(&self.prepared)
        } else {
            Cow::Owned(user.claims_with(&self.pairs, is_elevated))
        }
    }
}

/// Whether `kept` still points to `current`.
pub fn is_same<T>(kept: &Weak<T>, current: &Arc<T>) -> bool {
    std::ptr::eq(kept.as_ptr(), Arc::as_ptr(current))
}

impl Answer {
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
            prepared: user.claims_with(&pairs, false),
            pairs,
            good,
        }
    }
}
