//! Trades the tokens of a batch, also while somebody holds a row of theirs.
//!
//! A row is held by whoever deletes its user in a transaction that goes on, by a dump, by an operator
//! with a `begin` and no end. Its session has to wait; the others of the batch must not. So the lock
//! of a row is waited for once and shortly (`lock_timeout` of the dedicated connection); after that
//! rows that are held are left out, for as long as some are.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::cached_user::CachedUser;
use crate::actors::runtime::isolate::{Outcome, isolated};
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::persistence::dedicated_connection::{DedicatedConnection, Taken, is_lost};
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::unknown_sessions::{Users, rotate_and_read};
use crate::persistence::{refresh_tokens, users};
use crate::tokens::refresh_token::TokenHash;
use crate::tokens::rotation::{Rotation, SessionRef};

/// How long after the last held row no lock is waited for.
const CAUTIOUS_FOR: Duration = Duration::from_secs(5);

/// How long unknown sessions are told to come again at once, after the table of users was found held.
const USERS_HELD_FOR: Duration = Duration::from_secs(1);

/// What came of a token that was current.
#[derive(Clone)]
pub enum Trade {
    /// It is traded.
    Done(SessionRef, Option<Arc<CachedUser>>),
    /// Another transaction holds its row.
    Held,
}

/// What a batch of trades goes by.
#[derive(Clone, Copy, Debug)]
pub struct TradeRules {
    /// [`Clock::advanced`](crate::domain::clock::Clock::advanced).
    pub advanced: time::Duration,
    pub lifetime: Duration,
    /// Whether users need an address that was verified; counts for unknown sessions only.
    pub verification_required: bool,
    /// Whether the users of unknown sessions are wanted too.
    pub reads_users: bool,
}

/// With the rotation that it is of.
type Traded = (Rotation, Trade);

/// Rotates on a connection of its own.
pub struct Rotator {
    dedicated: DedicatedConnection,
    cautious_until: Mutex<Option<Instant>>,
    /// Until when nobody waits for the table of users.
    users_held_until: Mutex<Option<Instant>>,
}

impl Rotator {
    /// With nothing opened yet.
    pub fn new(pool: MeasuredPool) -> Self {
        Self {
            dedicated: DedicatedConnection::new(pool),
            cautious_until: Mutex::default(),
            users_held_until: Mutex::default(),
        }
    }

    /// Trades these tokens, which are in ascending order: all nodes go in one order, so that two
    /// batches that share rows do not deadlock.
    pub async fn rotate(
        &self,
        rotations: &[Rotation],
        rules: TradeRules,
    ) -> Outcome<Rotation, Trade> {
        isolated(
            rotations,
            |part: Vec<Rotation>| async move { self.rotate_part(&part, rules).await },
        )
        .await
    }

    /// Closes its connection.
    pub async fn close(&self) {
        self.dedicated.close().await;
    }

    /// On the kept connection; a second time on a new one if that had died meanwhile.
    ///
    /// What the first time committed is then not current any more, which the callers take for a
    /// repeated request.
    async fn rotate_part(
        &self,
        rotations: &[Rotation],
        rules: TradeRules,
    ) -> sqlx::Result<Vec<Traded>> {
        let mut db = self.dedicated.take().await?;
        let mut result = self.rotate_on(&mut db, rotations, rules).await;
        if db.was_idle && result.as_ref().is_err_and(is_lost) {
            drop(db);
            db = self.dedicated.open().await?;
            result = self.rotate_on(&mut db, rotations, rules).await;
        }
        // A statement that Postgres refused has ended, and the connection is as good as before.
        if matches!(&result, Ok(_) | Err(sqlx::Error::Database(_)))
            && !result.as_ref().is_err_and(is_lost)
        {
            self.dedicated.keep(db);
        }
        result
    }

    async fn rotate_on(
        &self,
        db: &mut Taken,
        rotations: &[Rotation],
        rules: TradeRules,
    ) -> sqlx::Result<Vec<Traded>> {
        if !self.is_cautious() {
            match rotate_all(db, rotations, rules).await {
                Err(error) if refresh_tokens::is_held_up(&error) => {
                    tracing::warn!(
                        rows = rotations.len(),
                        error = &error as &dyn std::error::Error,
                        "another transaction holds a session, its refreshes wait"
                    );
                    self.be_cautious();
                }
                result => return result,
            }
        }
        let (known, unknown) = self.identify(db, rotations, rules).await?;
        let rotations: Vec<Rotation> = known.iter().map(|known| known.rotation).collect();
        let TradeRules { advanced, lifetime, .. } = rules;
        let free =
            refresh_tokens::rotate_free(db.connection(), &rotations, advanced, lifetime).await?;
        if !free.held.is_empty() {
            self.be_cautious();
        }
        let done = free.rotated.into_iter().map(|at| {
            let Known { asked, session, user, .. } = &known[at];
            (*asked, Trade::Done(*session, user.clone()))
        });
        let held = free.held.into_iter().map(|at| known[at].asked).chain(unknown);
        Ok(done.chain(held.map(|asked| (asked, Trade::Held))).collect())
    }

    /// Those whose session is known, or was found with a user who may refresh, in the same order; and
    /// those of which nothing can be found out, since somebody holds the table of users.
    ///
    /// The others of the batch wait for that once in a while only.
    async fn identify(
        &self,
        db: &mut Taken,
        rotations: &[Rotation],
        rules: TradeRules,
    ) -> sqlx::Result<(Vec<Known>, Vec<Rotation>)> {
        let is_unknown = |rotation: &&Rotation| rotation.session.is_none();
        if rotations.iter().any(|rotation| rotation.session.is_none()) {
            if !is_before(&self.users_held_until) {
                match identify(db, rotations, rules).await {
                    Err(error) if refresh_tokens::is_held_up(&error) => {
                        set(&self.users_held_until, USERS_HELD_FOR);
                    }
                    found => return Ok((found?, Vec::new())),
                }
            }
            self.be_cautious();
        }
        let known = rotations.iter().filter_map(Known::of);
        Ok((known.collect(), rotations.iter().filter(is_unknown).copied().collect()))
    }

    fn is_cautious(&self) -> bool {
        is_before(&self.cautious_until)
    }

    fn be_cautious(&self) {
        set(&self.cautious_until, CAUTIOUS_FOR);
    }
}

fn is_before(until: &Mutex<Option<Instant>>) -> bool {
    let until = *until.lock().unwrap_or_else(PoisonError::into_inner);
    until.is_some_and(|until| Instant::now() < until)
}

fn set(until: &Mutex<Option<Instant>>, time: Duration) {
    *until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
}

/// In one statement, which waits for rows that others hold.
async fn rotate_all(
    db: &mut Taken,
    rotations: &[Rotation],
    rules: TradeRules,
) -> sqlx::Result<Vec<Traded>> {
    let TradeRules { advanced, lifetime, .. } = rules;
    let known: Option<Vec<SessionRef>> =
        rotations.iter().map(|rotation| rotation.session).collect();
    if let Some(sessions) = known {
        let places = refresh_tokens::rotate(db.connection(), rotations, advanced, lifetime).await?;
        let done = |at: usize| (rotations[at], Trade::Done(sessions[at], None));
        return Ok(places.into_iter().map(done).collect());
    }
    let users =
        Users { verification_required: rules.verification_required, are_read: rules.reads_users };
    let traded = rotate_and_read(db.connection(), rotations, users, advanced, lifetime).await?;
    let read: HashMap<UserId, Arc<CachedUser>> =
        traded.users.into_iter().map(|user| (user.id, cached(user))).collect();
    let done = traded.sessions.into_iter().filter_map(|(at, session)| {
        let rotation = rotations[at];
        let user = match rotation.session {
            Some(_) => None,
            None if !rules.reads_users => None,
            // Without one it was deleted with its session.
            None => Some(Arc::clone(read.get(&session.user_id)?)),
        };
        Some((rotation, Trade::Done(session, user)))
    });
    Ok(done.collect())
}

/// A rotation whose session is known now.
struct Known {
    /// As it was asked for.
    asked: Rotation,
    rotation: Rotation,
    session: SessionRef,
    user: Option<Arc<CachedUser>>,
}

impl Known {
    /// One whose session was known all the time.
    fn of(asked: &Rotation) -> Option<Self> {
        let session = asked.session?;
        Some(Self { asked: *asked, rotation: *asked, session, user: None })
    }
}

/// Finds the unknown ones among these and their users, if they may refresh; in the same order.
async fn identify(
    db: &mut Taken,
    rotations: &[Rotation],
    rules: TradeRules,
) -> sqlx::Result<Vec<Known>> {
    let unknown = rotations.iter().filter(|rotation| rotation.session.is_none());
    let unknown: Vec<TokenHash> = unknown.map(|rotation| rotation.presented).collect();
    let (mut sessions, mut found_users) = (HashMap::new(), HashMap::new());
    if !unknown.is_empty() {
        let found = refresh_tokens::find_live(db.connection(), &unknown, rules.advanced).await?;
        sessions.extend(found);
        let ids: Vec<UserId> = sessions.values().map(|session| session.user_id).collect();
        let found = users::find_by_ids(db.connection(), &ids).await?.into_iter();
        let may = found.filter(|user| user.check_refresh(rules.verification_required).is_ok());
        found_users.extend(may.map(|user| (user.id, cached(user))));
    }
    let known = |asked: &Rotation| {
        if asked.session.is_some() {
            return Known::of(asked);
        }
        let session = *sessions.get(&asked.presented)?;
        let user = Some(Arc::clone(found_users.get(&session.user_id)?));
        let rotation = Rotation { session: Some(session), ..*asked };
        Some(Known { asked: *asked, rotation, session, user })
    };
    Ok(rotations.iter().filter_map(known).collect())
}

fn cached(user: User) -> Arc<CachedUser> {
    Arc::new(CachedUser::new(user))
}

/// The failure of a rotation of which nothing can be said yet.
pub fn held() -> Arc<sqlx::Error> {
    let what = "another transaction holds the session or changes its user";
    Arc::new(sqlx::Error::Io(io::Error::new(io::ErrorKind::WouldBlock, what)))
}
