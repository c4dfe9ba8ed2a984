//! Who repeats refreshes: inside the grace window a client may, and so may a thief who follows it.
//!
//! A refresh that needs no look here must cost nothing: sessions are watched only once a token of
//! theirs was repeated, and while there are none, one flag is read. What a node sees is what it
//! serves; nothing is stored. A repeat is never refused, since people who change from one network to
//! another, or have many tabs, would be signed out
//! (docs/reference-behaviour.md#followers-are-told).

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::client_network::ClientNetwork;
use crate::domain::ids::SessionId;
use crate::tokens::refresh_token::TokenHash;

/// Sessions that are watched at once; each takes about 200 bytes.
const MOST: u64 = 10_000;
/// How long after its last repeat a session is watched.
const WATCHED: Duration = Duration::from_hours(1);
/// Repeats of one rotation by which a client makes up for a lost response or shares a token between
/// tabs; more of them are worth a line in the log.
const USUAL_REPEATS: u32 = 3;

/// What is odd about a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// One rotation was repeated more often than clients need.
    Often { repeats: u32 },
    /// The rotation came from one client network and its repeat from another.
    TwoNetworks,
}

/// Sessions of which a token was repeated lately.
#[derive(Debug)]
pub struct RepeatWatch {
    sessions: Cache<SessionId, Arc<Mutex<Watched>>>,
    /// Whether any session has ever been watched by this node.
    is_active: AtomicBool,
}

#[derive(Debug, Default)]
struct Watched {
    /// Of the last rotation, since the session is watched.
    rotated_by: Option<ClientNetwork>,
    /// The rotation that is repeated, by the hash that it led to.
    current: Option<TokenHash>,
    repeats: u32,
    is_reported: bool,
}

impl Default for RepeatWatch {
    fn default() -> Self {
        let sessions = Cache::builder().max_capacity(MOST).time_to_idle(WATCHED).build();
        Self { sessions, is_active: AtomicBool::new(false) }
    }
}

impl RepeatWatch {
    /// A session was refreshed with its current token.
    pub fn rotated(&self, session: SessionId, client: IpAddr) {
        if !self.is_active.load(Ordering::Relaxed) {
            return;
        }
        if let Some(watched) = self.sessions.get(&session) {
            *lock(&watched) = Watched { rotated_by: Some(client.into()), ..Watched::default() };
        }
    }

    /// A token was repeated inside the grace window, `next` being what it led to. Tells once for each
    /// rotation if something is odd about it.
    pub fn repeated(&self, session: SessionId, next: TokenHash, client: IpAddr) -> Option<Oddity> {
        self.is_active.store(true, Ordering::Relaxed);
        let client = ClientNetwork::from(client);
        let watched = self.sessions.get_with(session, Arc::default);
        let mut watched = lock(&watched);
        if watched.current != Some(next) {
            // Another node may have rotated since; then nobody knows from where.
            let rotated_by = watched.rotated_by.filter(|_| watched.current.is_none());
            *watched = Watched { rotated_by, current: Some(next), ..Watched::default() };
        }
        watched.repeats += 1;
        if watched.is_reported {
            return None;
        }
        let oddity = if watched.rotated_by.is_some_and(|rotated_by| rotated_by != client) {
            Oddity::TwoNetworks
        } else if watched.repeats > USUAL_REPEATS {
            Oddity::Often { repeats: watched.repeats }
        } else {
            return None;
        };
        watched.is_reported = true;
        Some(oddity)
    }
}

fn lock(watched: &Mutex<Watched>) -> std::sync::MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn hash(n: u8) -> TokenHash {
        crate::tokens::refresh_token::RefreshToken::parse(&format!(
            "00000000-0000-4000-8000-0000000000{n:02}"
        ))
        .unwrap()
        .hash()
    }

    #[test]
    fn a_follower_from_another_network_is_noticed_at_the_second_time() {
        let watch = RepeatWatch::default();
        let session = SessionId(uuid::Uuid::from_u128(1));
        watch.rotated(session, network(1));
        assert_eq!(watch.repeated(session, hash(1), network(2)), None, "nobody watched yet");
        watch.rotated(session, network(1));
        let repeated = watch.repeated(session, hash(2), network(2));
        assert_eq!(repeated, Some(Oddity::TwoNetworks));
        assert_eq!(watch.repeated(session, hash(2), network(2)), None, "told already");
    }

    #[test]
    fn tabs_of_one_client_may_repeat_and_a_crowd_is_told_once() {
        let watch = RepeatWatch::default();
        let session = SessionId(uuid::Uuid::from_u128(1));
        for _ in 0..USUAL_REPEATS {
            assert_eq!(watch.repeated(session, hash(1), network(1)), None);
        }
        let often = watch.repeated(session, hash(1), network(1));
        assert_eq!(often, Some(Oddity::Often { repeats: USUAL_REPEATS + 1 }));
        assert_eq!(watch.repeated(session, hash(1), network(1)), None);
        watch.rotated(session, network(1));
        assert_eq!(watch.repeated(session, hash(2), network(1)), None);
    }
}
