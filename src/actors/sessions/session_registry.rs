//! Sessions as the flows see them: find, rotate, and the users they belong to.
//!
//! The registry is a supervisor of shards; this file is its handle, and the user cache, which is
//! served only while the lease of the change feed is valid (`change_feed`). Sessions are in
//! `session_cache`.

use std::sync::Arc;

use super::cached_user::CachedUser;
use super::session_cache::SessionCache;
use super::session_shard::{SessionShard, SessionShardArgs, SessionShardMsg, flatten};
use super::user_cache::UserCache;
use crate::actors::parts::Parts;
use crate::actors::runtime::handle::Handle;
use crate::actors::runtime::supervisor::ChildSpec;
use crate::config::Config;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::metrics::CacheStats;
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// Finds and rotates sessions, and reads their users.
#[derive(Clone)]
pub struct SessionRegistry {
    shards: Arc<[Handle<SessionShardMsg>]>,
    sessions: Arc<SessionCache>,
    users: UserCache,
}

/// The handle, and the supervisor of the shards that the tree starts.
pub fn start(parts: &Parts) -> (SessionRegistry, ChildSpec) {
    let config = parts.config.load();
    let shards = parts
        .shards
        .iter()
        .map(|slot| Handle::configured("session registry", Arc::clone(slot), &config))
        .collect();
    let (pool, clock, live) = (parts.pool.clone(), parts.clock.clone(), Arc::clone(&parts.config));
    let slots = Arc::clone(&parts.shards);
    let (policy, tree) = (parts.policy.clone(), parts.tree.clone());
    let child = ChildSpec::supervisor("session_registry", policy, tree, move || {
        slots
            .iter()
            .enumerate()
            .map(|(n, slot)| {
                let args = SessionShardArgs {
                    pool: pool.clone(),
                    clock: clock.clone(),
                    config: Arc::clone(&live),
                    stats: Arc::clone(slot.stats()),
                };
                ChildSpec::actor(format!("shard-{n}"), slot, || SessionShard, move || args.clone())
            })
            .collect()
    });
    let sessions = Arc::new(SessionCache::new(config.actors.session_cache_mib));
    (SessionRegistry { shards, sessions, users: parts.users.clone() }, child)
}

impl SessionRegistry {
    /// The live session of a current token.
    pub async fn find(&self, hash: TokenHash) -> Result<Option<SessionRef>, AuthError> {
        if let Some(session) = self.sessions.get(hash) {
            return Ok(Some(session));
        }
        // In a box, as below: this is rare, and the future of each request would have room for it.
        let found = Box::pin(self.shard(hash).call(|reply| SessionShardMsg::Find(hash, reply)));
        let found = flatten(found.await?)?;
        if let Some(session) = found {
            self.sessions.insert(hash, session);
        }
        Ok(found)
    }

    /// Trades a token for the next one; `false` if it is not the current one (any more).
    ///
    /// Returns after the commit. Safe to repeat: the next token is always the same.
    pub async fn rotate(&self, rotation: Rotation) -> Result<bool, AuthError> {
        let shard = self.shard(rotation.presented);
        let rotated = flatten(shard.call(|reply| SessionShardMsg::Rotate(rotation, reply)).await?)?;
        self.sessions.remove(rotation.presented);
        if rotated.is_some() {
            self.sessions.insert(rotation.next, rotation.session);
        }
        Ok(rotated.is_some())
    }

    /// The user as of now, from the cache while the change feed is up, else from Postgres.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<CachedUser>>, AuthError> {
        if let Some(user) = self.users.stats.note(self.users.get(id)) {
            return Ok(Some(user));
        }
        let seen = self.users.feed.stamp(id);
        let shard = &self.shards[id.0.as_u128() as usize % self.shards.len()];
        let found = Box::pin(shard.call(|reply| SessionShardMsg::Load(id, reply)));
        let found = flatten(found.await?)?;
        if let Some(user) = &found {
            self.users.insert(id, user, seen);
        }
        Ok(found)
    }

    /// The metrics of the session cache, and how many sessions it holds (about).
    pub fn session_cache(&self) -> (&CacheStats, u64) {
        self.sessions.metrics()
    }

    /// The user cache, for writers on this node that know of a change before the feed does.
    pub fn users(&self) -> &UserCache {
        &self.users
    }

    /// Takes over bound and deadline of the configuration.
    pub fn tune(&self, config: &Config) {
        for shard in self.shards.iter() {
            shard.tune(config);
        }
    }

    /// The shards, for fault tests and the supervision view.
    pub fn shards(&self) -> &[Handle<SessionShardMsg>] {
        &self.shards
    }

    fn shard(&self, hash: TokenHash) -> &Handle<SessionShardMsg> {
        &self.shards[usize::from(hash.as_bytes()[0]) % self.shards.len()]
    }
}
