//! Whether the users of unknown sessions are known nevertheless. Behind a balancer that goes round, a
//! node knows most users and not where their sessions have come to; after its start it knows nobody.

use std::sync::atomic::{AtomicU32, Ordering};

/// All of them, as a share.
const ALL: u32 = 1 << 16;

/// The latest one counts for this part of the share.
const LATEST: u32 = 64;

/// The share of unknown sessions, lately, whose users were in the cache.
///
/// From three of four on they are not read along with their sessions: reading one twice costs less
/// than a second statement, but reading all costs more than a second statement for the rest.
#[derive(Debug, Default)]
pub struct UsersAtHand(AtomicU32);

impl UsersAtHand {
    /// Whether users are read with the sessions that are unknown.
    pub fn are_read_along(&self) -> bool {
        self.0.load(Ordering::Relaxed) < ALL / 4 * 3
    }

    /// The user of a session that was unknown was in the cache, or was not.
    ///
    /// Of two at once one may not be counted, which changes nothing.
    pub fn note(&self, at_hand: bool) {
        let share = self.0.load(Ordering::Relaxed);
        let latest = if at_hand { ALL / LATEST } else { 0 };
        self.0.store(share - share / LATEST + latest, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::UsersAtHand;

    #[test]
    fn users_are_read_along_unless_most_are_at_hand() {
        let users = UsersAtHand::default();
        assert!(users.are_read_along());
        (0..200).for_each(|_| users.note(true));
        assert!(!users.are_read_along());
        // One in five is not.
        (0..500).for_each(|n| users.note(n % 5 != 0));
        assert!(!users.are_read_along());
        // One in two is not.
        (0..200).for_each(|n| users.note(n % 2 == 0));
        assert!(users.are_read_along());
    }

    #[test]
    fn the_share_has_bounds() {
        let users = UsersAtHand::default();
        (0..100_000).for_each(|_| users.note(true));
        (0..100_000).for_each(|_| users.note(false));
        assert!(users.are_read_along());
    }
}
