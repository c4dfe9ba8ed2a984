//! Users as they are in Postgres, served only while the change feed's lease holds.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::cached_user::CachedUser;
use super::feed_lease::{FeedState, Seen};
use crate::domain::ids::UserId;
use crate::metrics::CacheStats;

/// Users by id, bounded in memory, served only while nothing can have changed unnoticed.
#[derive(Clone)]
pub struct UserCache {
    users: Cache<UserId, Entry>,
    pub(super) feed: Arc<FeedState>,
    pub(super) stats: Arc<CacheStats>,
}

/// A user and the number of changes that had been seen before the row was read.
#[derive(Clone)]
struct Entry {
    user: Arc<CachedUser>,
    seen: u64,
}

impl UserCache {
    /// An empty cache of at most `mib` mebibytes.
    pub fn new(mib: u64, feed: Arc<FeedState>) -> Self {
        let users = Cache::builder()
            .max_capacity(mib * 1024 * 1024)
            .weigher(|_, entry: &Entry| {
                u32::try_from(entry.user.memory_bytes()).unwrap_or(u32::MAX)
            })
            .build();
        Self { users, feed, stats: Arc::default() }
    }

    /// Whether the lease of the feed is valid; without it nobody is served from here.
    pub fn is_served(&self) -> bool {
        self.feed.is_live()
    }

    /// Its metrics, how many users it holds, and their memory in bytes (both about).
    pub fn metrics(&self) -> (&CacheStats, u64, u64) {
        (&self.stats, self.users.entry_count(), self.users.weighted_size())
    }

    /// The cached user, if the lease is valid.
    ///
    /// A change that arrived while the row was read found nothing to remove; the counter tells.
    pub fn get(&self, id: UserId) -> Option<Arc<CachedUser>> {
        if !self.feed.is_live() {
            return None;
        }
        let entry = self.users.get(&id)?;
        (entry.seen == self.feed.stamp(id)).then_some(entry.user)
    }

    /// Whether this is what the cache holds, and nothing of it changed longer ago than `age`.
    pub fn holds(&self, user: &Arc<CachedUser>, age: Duration) -> bool {
        self.feed.has_all_since(age)
            && self.get(user.user.id).is_some_and(|held| Arc::ptr_eq(&held, user))
    }

    /// Keeps a user read from Postgres after `seen` was taken, unless one is kept that nothing changed
    /// since; the one that is kept, so that what is made of a user is made once.
    pub(super) fn keep(&self, user: Arc<CachedUser>, seen: Seen) -> Arc<CachedUser> {
        let id = user.user.id;
        let Some(seen) = self.feed.unchanged(id, seen) else { return user };
        if let Some(kept) = self.get(id) {
            return kept;
        }
        self.insert(id, &user, seen);
        user
    }

    /// Keeps a user read from Postgres after `seen` was taken.
    pub(super) fn insert(&self, id: UserId, user: &Arc<CachedUser>, seen: u64) {
        if self.feed.is_live() && self.feed.stamp(id) == seen {
            self.users.insert(id, Entry { user: Arc::clone(user), seen });
        }
    }

    /// Forgets one user.
    pub fn forget(&self, id: UserId) {
        self.feed.touch(id);
        self.users.invalidate(&id);
    }

    /// Forgets everybody.
    pub fn forget_all(&self) {
        self.feed.touch_all();
        self.users.invalidate_all();
    }
}
