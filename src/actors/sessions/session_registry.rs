//! Sessions as the flows see them: known ones, their rotation, and the users they belong to.
//!
//! The registry is a supervisor of shards; this file is its handle, and the user cache, which is
//! served only while the lease of the change feed is valid (`change_feed`). Sessions are in
//! `session_cache`.

use std::sync::Arc;

use super::cached_user::CachedUser;
use super::feed_lease::Seen;
use super::session_cache::SessionCache;
use super::session_shard::{Rotated, SessionShard, SessionShardArgs, SessionShardMsg, flatten};
use super::user_cache::UserCache;
use super::users_at_hand::UsersAtHand;
use crate::actors::parts::Parts;
use crate::actors::runtime::handle::Handle;
use crate::actors::runtime::supervisor::ChildSpec;
use crate::config::Config;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::metrics::CacheStats;
use crate::persistence::new_anonymous_users::NewAnonymousUser;
use crate::persistence::written_user::WrittenUser;
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// Knows and rotates sessions, and reads their users.
#[derive(Clone)]
pub struct SessionRegistry {
    shards: Arc<[Handle<SessionShardMsg>]>,
    sessions: Arc<SessionCache>,
    users: UserCache,
    at_hand: Arc<UsersAtHand>,
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
    let (slots, feed) = (Arc::clone(&parts.shards), Arc::clone(&parts.users.feed));
    let (policy, tree) = (parts.policy.clone(), parts.tree.clone());
    let at_hand = Arc::<UsersAtHand>::default();
    let of_shards = Arc::clone(&at_hand);
    let child = ChildSpec::supervisor("session_registry", policy, tree, move || {
        slots
            .iter()
            .enumerate()
            .map(|(n, slot)| {
                let args = SessionShardArgs {
                    pool: pool.clone(),
                    clock: clock.clone(),
                    config: Arc::clone(&live),
                    feed: Arc::clone(&feed),
                    at_hand: Arc::clone(&of_shards),
                    stats: Arc::clone(slot.stats()),
                };
                ChildSpec::actor(format!("shard-{n}"), slot, || SessionShard, move || args.clone())
            })
            .collect()
    });
    let sessions = Arc::new(SessionCache::new(config.actors.session_cache_mib));
    (SessionRegistry { shards, sessions, users: parts.users.clone(), at_hand }, child)
}

impl SessionRegistry {
    /// The session of a current token and its user, if both are known here and nothing can have
    /// changed them unnoticed.
    pub fn known(&self, token: TokenHash) -> Option<(SessionRef, Arc<CachedUser>)> {
        let session = self.sessions.get(token)?;
        let user = self.users.stats.note(self.users.get(session.user_id))?;
        Some((session, user))
    }

    /// Trades a token for the next one; `None` if it is not the current one (any more), or if the
    /// session was not known and its user may not refresh.
    ///
    /// Returns after the commit; with the user, if the session was not known and the user was read along
    /// or is at hand. Safe to repeat: the next token is always the same.
    pub async fn rotate(
        &self,
        rotation: Rotation,
    ) -> Result<Option<(SessionRef, Option<Arc<CachedUser>>)>, AuthError> {
        let shard = self.shard(rotation.presented);
        let rotated = flatten(shard.call(|reply| SessionShardMsg::Rotate(rotation, reply)).await?)?;
        self.sessions.remove(rotation.presented);
        let Some(Rotated { session, user }) = rotated else { return Ok(None) };
        self.sessions.insert(rotation.next, session);
        if rotation.session.is_some() {
            return Ok(Some((session, None)));
        }
        let (user, was_at_hand) = if let Some((read, seen)) = user {
            let kept = self.users.keep(Arc::clone(&read), seen);
            let was_at_hand = !Arc::ptr_eq(&kept, &read);
            (Some(kept), was_at_hand)
        } else {
            let user = self.users.get(session.user_id);
            let was_at_hand = user.is_some();
            (user, was_at_hand)
        };
        self.at_hand.note(was_at_hand);
        Ok(Some((session, user)))
    }

    /// Writes an anonymous user with a session; returns after the commit.
    pub async fn sign_up(&self, user: NewAnonymousUser) -> Result<WrittenUser, AuthError> {
        let (shard, user) = (self.shard(user.session.hash), Arc::new(user));
        let call = shard.call(|reply| SessionShardMsg::SignUp(Arc::clone(&user), reply));
        let written = flatten(Box::pin(call).await?)?;
        written.ok_or_else(|| AuthError::internal("a new user came back without a row", "no row"))
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

    /// What has been seen of changes by now, of this user or of everybody; for [`Self::started`].
    pub fn seen(&self, user: Option<UserId>) -> Seen {
        let feed = &self.users.feed;
        user.map_or_else(|| feed.seen_of_all(), |id| Seen::OfUser(feed.stamp(id)))
    }

    /// A session has started whose row is committed, so that its first refresh finds it here.
    pub fn started(&self, hash: TokenHash, session: SessionRef) {
        self.sessions.insert(hash, session);
    }

    /// A user as the statement of a sign-in left them, which is committed and began after `seen`.
    pub fn written(&self, user: User, seen: Seen) -> Arc<CachedUser> {
        let (id, user) = (user.id, Arc::new(CachedUser::new(user)));
        if let Some(seen) = self.users.feed.unchanged(id, seen) {
            self.users.insert(id, &user, seen);
        }
        user
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
