//! Transactions of one user, one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as TurnLock, OwnedMutexGuard};

use crate::domain::ids::UserId;

/// Held while it is a user's transaction's turn.
pub type UserTurn = OwnedMutexGuard<()>;

/// Whose turn it is, for each user with a transaction under way.
#[derive(Debug, Default)]
pub struct UserTurns(Mutex<Turns>);

#[derive(Debug, Default)]
struct Turns {
    of: HashMap<UserId, Weak<TurnLock<()>>>,
    /// Above this number it is looked which users have none any more.
    clear_above: usize,
}

impl UserTurns {
    /// Waits for the turn of this user, in the order of asking.
    pub async fn take(&self, user: UserId) -> UserTurn {
        let lock = self.lock_of(user);
        lock.lock_owned().await
    }

    fn lock_of(&self, user: UserId) -> Arc<TurnLock<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.of.len() > turns.clear_above {
            turns.of.retain(|_, turn| turn.strong_count() > 0);
            turns.clear_above = 2 * turns.of.len() + 64;
        }
        let held = turns.of.entry(user).or_default();
        held.upgrade().unwrap_or_else(|| {
            let lock = Arc::default();
            *held = Arc::downgrade(&lock);
            lock
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(number: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn one_user_waits_for_oneself_and_for_nobody_else() {
        let turns = UserTurns::default();
        let first = turns.take(user(1)).await;
        let mut second = std::pin::pin!(turns.take(user(1)));
        assert!(futures_util::poll!(&mut second).is_pending());
        turns.take(user(2)).await;
        drop(first);
        assert!(futures_util::poll!(&mut second).is_ready());
    }

    #[tokio::test]
    async fn users_whose_transactions_have_ended_are_forgotten() {
        let turns = UserTurns::default();
        for number in 0..10_000 {
            turns.take(user(number)).await;
        }
        assert!(turns.0.lock().unwrap().of.len() <= 65);
    }
}
