//! Many sessions that take turns: each is refreshed once before any is refreshed again.

pub mod file;
pub mod permutation;
pub mod seed;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

use self::permutation::Permutation;

/// The sessions of one server, shared by all its connections.
///
/// A session takes 17 bytes: its newest token, which must be a UUID, and its state.
#[derive(Debug)]
pub struct Population {
    turns: Mutex<Turns>,
    given_back: Notify,
    /// The first so many sessions belong to users who have a profile to read.
    with_profile: usize,
}

/// A session whose turn it is, until it is given back by being dropped.
#[derive(Debug)]
pub struct Turn {
    population: Arc<Population>,
    slot: usize,
    /// The newest token; what is here at the end is the session's.
    pub token: Uuid,
    fate: Fate,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its next turn is in the next round.
    Done,
    /// It comes next, whoever asks.
    Again,
    /// Never more.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Here,
    Out,
    Lost,
}

#[derive(Debug)]
struct Turns {
    tokens: Vec<Uuid>,
    states: Vec<State>,
    lost: usize,
    random: fastrand::Rng,
    /// The order of this round, over the sessions there were at its start.
    order: Permutation,
    place: u64,
    /// What was still out when its turn came, and what has to be asked again.
    first: Vec<usize>,
}

enum Next {
    Session(usize),
    /// What is left of the round is out.
    Wait,
    /// All are lost.
    Nothing,
}

impl Population {
    /// The sessions with these tokens, of which the first ones have users with a profile.
    pub fn new(tokens: Vec<Uuid>, with_profile: usize) -> Self {
        let mut random = fastrand::Rng::new();
        let order = Permutation::new(tokens.len() as u64, &mut random);
        let states = vec![State::Here; tokens.len()];
        let (lost, place, first) = (0, 0, Vec::new());
        let turns = Turns { tokens, states, lost, random, order, place, first };
        Self { turns: Mutex::new(turns), given_back: Notify::new(), with_profile }
    }

    /// The session whose turn it is; waits for those that end a round, and gives `None` once all are
    /// lost.
    pub async fn take(self: &Arc<Self>) -> Option<Turn> {
        loop {
            let mut given_back = pin!(self.given_back.notified());
            given_back.as_mut().enable();
            {
                let mut turns = self.lock();
                match turns.next() {
                    Next::Session(slot) => {
                        turns.states[slot] = State::Out;
                        let (population, token) = (Arc::clone(self), turns.tokens[slot]);
                        return Some(Turn { population, slot, token, fate: Fate::Done });
                    }
                    Next::Nothing => return None,
                    Next::Wait => {}
                }
            }
            given_back.await;
        }
    }

    /// Adds a session, whose first turn is in the next round.
    pub fn join(&self, token: Uuid) {
        let mut turns = self.lock();
        turns.tokens.push(token);
        turns.states.push(State::Here);
    }

    /// How many sessions there are, without those that were lost.
    pub fn size(&self) -> usize {
        let turns = self.lock();
        turns.tokens.len() - turns.lost
    }

    /// The tokens of all that are not lost, and how many of the first have users with a profile.
    pub fn tokens(&self) -> (Vec<Uuid>, usize) {
        let turns = self.lock();
        let is_kept = |slot: &usize| turns.states[*slot] != State::Lost;
        let tokens =
            (0..turns.tokens.len()).filter(is_kept).map(|slot| turns.tokens[slot]).collect();
        (tokens, (0..self.with_profile).filter(is_kept).count())
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    fn next(&mut self) -> Next {
        let is_here = |&slot: &usize| self.states[slot] == State::Here;
        if let Some(at) = self.first.iter().position(is_here) {
            return Next::Session(self.first.swap_remove(at));
        }
        loop {
            while self.place < self.order.length() {
                let slot = self.order.at(self.place);
                let slot = usize::try_from(slot).expect("slots are numbers of a list");
                self.place += 1;
                match self.states[slot] {
                    State::Here => return Next::Session(slot),
                    State::Out => self.first.push(slot),
                    State::Lost => {}
                }
            }
            if !self.first.is_empty() {
                return Next::Wait;
            }
            if self.lost == self.tokens.len() {
                return Next::Nothing;
            }
            self.order = Permutation::new(self.tokens.len() as u64, &mut self.random);
            self.place = 0;
        }
    }
}

impl Turn {
    /// Whether the user of this session has a profile to read.
    pub fn has_profile(&self) -> bool {
        self.slot < self.population.with_profile
    }

    /// The server does not know the session any more.
    pub fn lose(mut self) {
        self.fate = Fate::Lost;
    }

    /// Nobody knows whether the server took the token: it has to be presented again soon, while the
    /// server still owes the response.
    pub fn repeat(mut self) {
        self.fate = Fate::Again;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.population.lock();
        turns.tokens[self.slot] = self.token;
        turns.states[self.slot] = State::Here;
        match self.fate {
            Fate::Done => {}
            Fate::Again => turns.first.push(self.slot),
            Fate::Lost => {
                turns.states[self.slot] = State::Lost;
                turns.lost += 1;
                turns.first.retain(|&slot| slot != self.slot);
            }
        }
        drop(turns);
        self.population.given_back.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(size: u128) -> Arc<Population> {
        Arc::new(Population::new((0..size).map(Uuid::from_u128).collect(), 3))
    }

    async fn take(population: &Arc<Population>) -> Turn {
        population.take().await.unwrap()
    }

    #[tokio::test]
    async fn each_is_touched_once_before_any_is_touched_again() {
        let population = population(10);
        let mut held = Vec::new();
        for _ in 0..3 {
            let mut round = Vec::new();
            for _ in 0..10 {
                let turn = take(&population).await;
                round.push(turn.token);
                held.push(turn);
                if held.len() > 3 {
                    held.remove(0);
                }
            }
            round.sort_unstable();
            round.dedup();
            assert_eq!(round.len(), 10);
        }
    }

    #[tokio::test]
    async fn the_end_of_a_round_waits_for_what_is_out() {
        let population = population(2);
        let (first, _) = (take(&population).await, take(&population).await);
        // One was given back and is touched in the new round; the other is still out.
        drop(take(&population).await);
        let mut waiting = pin!(population.take());
        assert!(polled_once(waiting.as_mut()).is_none());
        let token = first.token;
        drop(first);
        assert_eq!(waiting.await.unwrap().token, token);
    }

    /// The output of a future that is polled once.
    fn polled_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn new_tokens_stay_and_uncertain_ones_come_first() {
        let population = population(5);
        let mut turn = take(&population).await;
        turn.token = Uuid::from_u128(99);
        let slot = turn.slot;
        turn.repeat();
        let again = take(&population).await;
        assert_eq!((again.slot, again.token), (slot, Uuid::from_u128(99)));
    }

    #[tokio::test]
    async fn the_lost_have_no_turn_and_those_who_join_have_one_in_the_next_round() {
        let population = population(3);
        take(&population).await.lose();
        population.join(Uuid::from_u128(50));
        assert_eq!((population.size(), population.tokens().0.len()), (3, 3));
        assert_eq!(population.tokens().1, 2);
        drop((take(&population).await, take(&population).await));
        let mut second = Vec::new();
        for _ in 0..3 {
            second.push(take(&population).await.token);
        }
        assert!(second.contains(&Uuid::from_u128(50)));
        for _ in 0..3 {
            take(&population).await.lose();
        }
        assert!(population.take().await.is_none());
    }
}
