//! `last_seen` values of committed rotations, which are written behind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::actors::runtime::isolate::{is_of_a_row, isolated};
use crate::domain::ids::UserId;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::time_limit::in_time;
use crate::persistence::users;

/// Users of one statement, so that none holds many locks or takes long.
const MOST_AT_ONCE: usize = 1_000;

/// A user, and when that was seen.
type Seen = (UserId, OffsetDateTime);

/// When users were seen last, until it is written.
#[derive(Default)]
pub struct LastSeen(Mutex<HashMap<UserId, OffsetDateTime>>);

impl LastSeen {
    /// These users were seen.
    pub fn record(&self, users: impl Iterator<Item = UserId>, at: OffsetDateTime) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(users.map(|user| (user, at)));
    }

    /// How many values wait.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes what waits, many in one statement; what could not be written waits again, since somebody
    /// holds the row or Postgres failed. What a rule of the database refuses is given up.
    pub async fn write(&self, pool: &MeasuredPool, limit: Duration) {
        let mut seen: Vec<Seen> = self.take().into_iter().collect();
        // In one order on all nodes, so that two of these statements do not deadlock.
        seen.sort_unstable_by_key(|(user, _)| user.0);
        let mut parts = seen.chunks(MOST_AT_ONCE);
        for part in parts.by_ref() {
            let written = isolated(part, |part: Vec<Seen>| async move {
                let held = in_time(limit, users::set_last_seen(pool, &part)).await?;
                Ok(part.into_iter().map(|seen| (seen, held.contains(&seen.0))).collect())
            })
            .await;
            let held = written.found.into_iter().filter(|(_, is_held)| *is_held);
            let failed = written.failed.into_iter().filter(|(_, error)| !is_of_a_row(error));
            let failed: Vec<Seen> = failed.map(|(seen, _)| seen).collect();
            let is_away = !failed.is_empty();
            self.put_back(held.map(|(seen, _)| seen).chain(failed));
            if is_away {
                break;
            }
        }
        // Postgres is away: the others would each wait for it.
        parts.for_each(|part| self.put_back(part.iter().copied()));
    }

    fn take(&self) -> HashMap<UserId, OffsetDateTime> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Unless something newer waits.
    fn put_back(&self, unwritten: impl Iterator<Item = Seen>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (user, at) in unwritten {
            waiting.entry(user).or_insert(at);
        }
    }
}
