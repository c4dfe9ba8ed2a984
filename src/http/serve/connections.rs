//! Who is connected, and who has to go when there is no room.
//!
//! A lock is taken when a connection comes and when it ends, never for a request: when a connection
//! was used last is an atomic that it writes itself.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::connection::Activity;
use crate::domain::client_network::ClientNetwork;
use crate::metrics::http::ConnectionStats;
use crate::telemetry::pace::Pace;

/// When to look again for a connection that can be closed, if none of them was idle.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One of this many connections is remembered as a candidate at each look at all of them, so that a
/// flood does not cost a look each.
const CANDIDATES: usize = 64;

/// All connections of one listener.
#[derive(Debug)]
pub struct Connections {
    members: Mutex<Members>,
    places: Arc<Semaphore>,
    per_network: usize,
    stats: Arc<ConnectionStats>,
    closed: Pace,
    refused: Pace,
    failures: Pace,
}

#[derive(Debug, Default)]
struct Members {
    next_id: u64,
    /// Of those that were asked to close, how many have not ended yet.
    closing: usize,
    all: Group,
    networks: HashMap<ClientNetwork, Group>,
}

/// Some connections, and those among them that have been idle for the longest time.
#[derive(Debug, Default)]
struct Group {
    members: HashMap<u64, (Option<ClientNetwork>, Arc<Activity>)>,
    /// Since when each was idle when it was looked at; the last one goes first.
    candidates: Vec<(Reverse<u64>, u64)>,
}

/// A connection among all, until it is dropped.
#[derive(Debug)]
pub struct Member {
    connections: Arc<Connections>,
    id: u64,
    network: Option<ClientNetwork>,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `limit` at once, and `per_network` of one client network.
    pub fn new(limit: usize, per_network: usize, stats: Arc<ConnectionStats>) -> Arc<Self> {
        Arc::new(Self {
            members: Mutex::default(),
            places: Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))),
            per_network,
            stats,
            closed: Pace::default(),
            refused: Pace::default(),
            failures: Pace::default(),
        })
    }

    /// Whether one more of this network may come; the one of it that has been idle for the longest
    /// time goes for it.
    pub fn has_room_for(&self, network: ClientNetwork) -> bool {
        let mut members = self.lock();
        let Some(group) = members.networks.get_mut(&network) else { return true };
        if group.members.len() < self.per_network {
            return true;
        }
        let closed = group.close_longest_idle();
        if let Some(id) = closed {
            members.remove(id, Some(network));
            members.closing += 1;
        }
        drop(members);
        if closed.is_some() {
            self.stats.closed.increment();
            if let Some(count) = self.closed.event() {
                tracing::warn!(
                    count,
                    "idle connections closed for new ones of the same client network"
                );
            }
        } else {
            self.stats.refused.increment();
            if let Some(count) = self.refused.event() {
                tracing::warn!(count, "connections refused, the client network has its share");
            }
        }
        closed.is_some()
    }

    /// A place among all; for it the connection goes that has been idle for the longest time.
    pub async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Some(place) = self.free_place() {
                return place;
            }
            if self.lock().closing == 0 {
                self.close_longest_idle();
            }
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(place) = timeout(LOOK_AGAIN, place).await {
                return place.expect("the semaphore is never closed");
            }
            // Those that are closing may be busy again.
            self.lock().closing = 0;
        }
    }

    /// A place, if one is free.
    pub fn free_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Closes one that is idle, if there is one.
    pub fn close_longest_idle(&self) {
        let mut members = self.lock();
        let Some(id) = members.all.close_longest_idle() else { return };
        let network = members.all.members.get(&id).and_then(|(network, _)| *network);
        members.remove(id, network);
        members.closing += 1;
        drop(members);
        self.stats.closed.increment();
        if let Some(count) = self.closed.event() {
            tracing::warn!(count, "idle connections closed for new ones, all places are taken");
        }
    }

    /// No connection could be accepted, for want of files most likely: one is closed that is idle.
    pub fn failed(&self, error: &io::Error) {
        if let Some(count) = self.failures.event() {
            tracing::error!(%error, count, "cannot accept connections");
        }
        self.close_longest_idle();
    }

    /// Counts a connection from now on; without a network it has no share.
    pub fn enter(
        self: &Arc<Self>,
        network: Option<ClientNetwork>,
        place: OwnedSemaphorePermit,
        activity: &Arc<Activity>,
    ) -> Member {
        let mut members = self.lock();
        let id = members.next_id;
        members.next_id += 1;
        let Members { all, networks, .. } = &mut *members;
        for group in [Some(all), network.map(|network| networks.entry(network).or_default())]
            .into_iter()
            .flatten()
        {
            group.members.insert(id, (network, Arc::clone(activity)));
        }
        drop(members);
        Member { connections: Arc::clone(self), id, network, _place: place }
    }

    /// The members are whole whenever the lock is free, also after a panic.
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.connections.lock();
        if !members.remove(self.id, self.network) {
            members.closing = members.closing.saturating_sub(1);
        }
    }
}

impl Members {
    /// Forgets a connection that has ended or is about to; whether it was known.
    fn remove(&mut self, id: u64, network: Option<ClientNetwork>) -> bool {
        let is_known = self.all.members.remove(&id).is_some();
        if let Some(network) = network
            && let Some(group) = self.networks.get_mut(&network)
        {
            group.members.remove(&id);
            if group.members.is_empty() {
                self.networks.remove(&network);
            }
        }
        is_known
    }
}

impl Group {
    /// Asks the connection that has been idle for the longest time to close, and names it.
    fn close_longest_idle(&mut self) -> Option<u64> {
        if let Some(id) = self.close_candidate() {
            return Some(id);
        }
        let idle = self.members.iter().filter_map(|(id, (_, activity))| {
            activity.idle_since().map(|since| (Reverse(since), *id))
        });
        self.candidates = idle.collect();
        let count = (self.members.len() / CANDIDATES).max(1);
        if self.candidates.len() > count {
            // The oldest are the greatest.
            let kept = self.candidates.len() - count;
            self.candidates.select_nth_unstable(kept);
            self.candidates.drain(..kept);
        }
        self.candidates.sort_unstable();
        self.close_candidate()
    }

    /// The first candidate that has not been used since.
    fn close_candidate(&mut self) -> Option<u64> {
        while let Some((Reverse(since), id)) = self.candidates.pop() {
            if let Some((_, activity)) = self.members.get(&id)
                && activity.idle_since() == Some(since)
            {
                activity.close();
                return Some(id);
            }
        }
        None
    }
}
