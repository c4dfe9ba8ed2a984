//! What a correct server may respond: one session as a sequential machine, and a check whether a
//! history of concurrent requests fits any order of its steps (linearizability).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Mutex;

use keywright::tokens::chain::RotationKey;
use keywright::tokens::refresh_token::RefreshToken;

/// How many rotations back an old token is recognised (ADR 1).
const STEPS: usize = 64;

/// The chain that every node walks, for a test that knows the key.
pub(crate) struct Chain {
    key: RotationKey,
    next: Mutex<HashMap<String, String>>,
}

impl Chain {
    pub(crate) fn new(key: RotationKey) -> Self {
        Self { key, next: Mutex::default() }
    }

    /// The one next token that this server gives for a token.
    pub(crate) fn next(&self, token: &str) -> String {
        let mut known = self.next.lock().unwrap();
        if let Some(next) = known.get(token) {
            return next.clone();
        }
        let next = self.key.next(&RefreshToken::parse(token).unwrap()).expose().to_owned();
        known.insert(token.to_owned(), next.clone());
        next
    }

    /// How many rotations lead from one token to the other, if at most [`STEPS`] do.
    fn distance(&self, from: &str, to: &str) -> Option<usize> {
        let mut current = from.to_owned();
        (1..=STEPS).find(|_| {
            current = self.next(&current);
            current == to
        })
    }
}

/// When this server rotated a session last, as far as the grace window is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rotated {
    Never,
    InWindow,
    LongAgo,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cause {
    SignOut,
    /// A token was used too late, which is logged.
    Reuse,
}

/// A session as Postgres holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    Live { current: String, rotated: Rotated },
    Over(Cause),
}

/// What somebody does to one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// `POST /token`.
    Refresh(String),
    /// `POST /signout` with a refresh token.
    SignOut(String),
    /// `POST /signout` with `all`.
    SignOutEverywhere,
    /// The reference's `POST /token`, which draws this next token.
    ReferenceRefresh { presented: String, fresh: String },
    /// The reference's `POST /signout`.
    ReferenceSignOut(String),
}

impl Op {
    /// Whether a session may be over because of this; a refresh may only end it by late reuse.
    pub(crate) fn is_sign_out(&self) -> bool {
        matches!(self, Self::SignOut(_) | Self::SignOutEverywhere | Self::ReferenceSignOut(_))
    }
}

/// What the one who did it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A session with this refresh token.
    Token(String),
    /// 401 `invalid-refresh-token`; of a sign-out everywhere, a bearer that is not good.
    Refused,
    /// A sign-out was acknowledged.
    Done,
    /// No response, or 503: it happened, or will, or never does.
    Unknown,
}

/// One request from beginning to end, in ticks that all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) op: Op,
    pub(crate) outcome: Outcome,
    pub(crate) begun: u64,
    pub(crate) ended: u64,
    /// The response came to its client, rather than being lost on the way.
    pub(crate) is_heard: bool,
}

impl Event {
    fn is_unknown(&self) -> bool {
        self.outcome == Outcome::Unknown
    }

    /// Requests that began later saw all that this one did.
    fn end(&self) -> u64 {
        if self.is_unknown() { u64::MAX } else { self.ended }
    }
}

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Begun,
    /// A sign-out whose token is not current will look along the chain next.
    Walks,
    /// The row was found and will be deleted, however it changes meanwhile.
    Deletes(Cause),
    Done,
}

/// One step of an event.
struct Step {
    state: State,
    stage: Stage,
    /// What the event returns with this step, if it is its last.
    response: Option<Outcome>,
}

/// All states in which a session may be after these events; none if no correct server could have
/// shown them.
pub(crate) fn possible_states(
    chain: &Chain,
    start: &BTreeSet<State>,
    events: &[Event],
) -> BTreeSet<State> {
    let mut seen = HashSet::new();
    let mut found = BTreeSet::new();
    let stages = vec![Stage::Begun; events.len()];
    let mut open: Vec<_> = start.iter().map(|state| (state.clone(), stages.clone())).collect();
    while let Some((state, stages)) = open.pop() {
        if !seen.insert((state.clone(), stages.clone())) {
            continue;
        }
        let left = || events.iter().zip(&stages).filter(|(_, stage)| **stage != Stage::Done);
        if left().all(|(event, _)| event.is_unknown()) {
            found.insert(state.clone());
        }
        let first_end = left().map(|(event, _)| event.end()).min().unwrap_or(u64::MAX);
        for (at, event) in events.iter().enumerate() {
            if stages[at] == Stage::Done || event.begun > first_end {
                continue;
            }
            for step in steps(chain, &state, event, stages[at]) {
                let fits = step
                    .response
                    .is_none_or(|response| event.is_unknown() || event.outcome == response);
                if fits {
                    let mut stages = stages.clone();
                    stages[at] = step.stage;
                    open.push((step.state, stages));
                }
            }
        }
    }
    found
}

/// What an event may do next.
fn steps(chain: &Chain, state: &State, event: &Event, at: Stage) -> Vec<Step> {
    let ends =
        |state: State, response| Step { state, stage: Stage::Done, response: Some(response) };
    let deletes =
        |cause| Step { state: state.clone(), stage: Stage::Deletes(cause), response: None };
    let unchanged = |response| vec![ends(state.clone(), response)];

    if let Stage::Deletes(cause) = at {
        let after = match state {
            State::Live { .. } => State::Over(cause),
            State::Over(_) => state.clone(),
        };
        let response = if cause == Cause::Reuse { Outcome::Refused } else { Outcome::Done };
        return vec![ends(after, response)];
    }
    let State::Live { current, rotated } = state else {
        return unchanged(match event.op {
            // The bearer's session is this one.
            Op::Refresh(_) | Op::ReferenceRefresh { .. } | Op::SignOutEverywhere => {
                Outcome::Refused
            }
            Op::SignOut(_) | Op::ReferenceSignOut(_) => Outcome::Done,
        });
    };
    match &event.op {
        Op::Refresh(presented) if presented == current => {
            let next = chain.next(presented);
            let after = State::Live { current: next.clone(), rotated: Rotated::InWindow };
            vec![ends(after, Outcome::Token(next))]
        }
        Op::Refresh(presented) => match (chain.distance(presented, current), rotated) {
            (Some(1), Rotated::InWindow) => unchanged(Outcome::Token(current.clone())),
            (Some(_), Rotated::LongAgo) => vec![deletes(Cause::Reuse)],
            (None, _) | (_, Rotated::Never | Rotated::InWindow) => unchanged(Outcome::Refused),
        },
        Op::SignOut(presented) if at == Stage::Begun => {
            if presented == current {
                return vec![ends(State::Over(Cause::SignOut), Outcome::Done)];
            }
            vec![Step { state: state.clone(), stage: Stage::Walks, response: None }]
        }
        Op::SignOut(presented) => {
            let is_found =
                *rotated != Rotated::Never && chain.distance(presented, current).is_some();
            if is_found { vec![deletes(Cause::SignOut)] } else { unchanged(Outcome::Done) }
        }
        Op::SignOutEverywhere => vec![ends(State::Over(Cause::SignOut), Outcome::Done)],
        Op::ReferenceRefresh { presented, fresh } => {
            if presented != current {
                return unchanged(Outcome::Refused);
            }
            let after = State::Live { current: fresh.clone(), rotated: *rotated };
            vec![ends(after, Outcome::Token(fresh.clone()))]
        }
        Op::ReferenceSignOut(presented) => {
            if presented != current {
                return unchanged(Outcome::Done);
            }
            vec![ends(State::Over(Cause::SignOut), Outcome::Done)]
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sessions::refresh_promise::model::*;

    const FIRST: &str = "ac085b9f-0123-4567-89ab-cdef01234567";

    struct History {
        chain: Chain,
        start: State,
        events: Vec<Event>,
    }

    /// A history of a session with the token [`FIRST`], never rotated.
    fn history() -> History {
        let start = State::Live { current: FIRST.to_owned(), rotated: Rotated::Never };
        History { chain: Chain::new(RotationKey::from_bytes(&[7; 32])), start, events: Vec::new() }
    }

    impl History {
        /// The token after so many rotations.
        fn token(&self, rotations: usize) -> String {
            (0..rotations).fold(FIRST.to_owned(), |token, _| self.chain.next(&token))
        }

        fn rotated(mut self, rotations: usize, rotated: Rotated) -> Self {
            self.start = State::Live { current: self.token(rotations), rotated };
            self
        }

        fn with(mut self, op: Op, outcome: Outcome, (begun, ended): (u64, u64)) -> Self {
            self.events.push(Event { op, outcome, begun, ended, is_heard: true });
            self
        }

        fn refresh(self, from: usize, to: Option<usize>, time: (u64, u64)) -> Self {
            let outcome = to.map_or(Outcome::Refused, |to| Outcome::Token(self.token(to)));
            let op = Op::Refresh(self.token(from));
            self.with(op, outcome, time)
        }

        fn lost(self, from: usize, time: (u64, u64)) -> Self {
            let op = Op::Refresh(self.token(from));
            self.with(op, Outcome::Unknown, time)
        }

        fn sign_out(self, with: usize, time: (u64, u64)) -> Self {
            let op = Op::SignOut(self.token(with));
            self.with(op, Outcome::Done, time)
        }

        fn states(&self) -> BTreeSet<State> {
            possible_states(&self.chain, &BTreeSet::from([self.start.clone()]), &self.events)
        }

        fn live(&self, rotations: usize, rotated: Rotated) -> State {
            State::Live { current: self.token(rotations), rotated }
        }
    }

    #[test]
    fn parallel_uses_get_one_next_token() {
        let fits = history().refresh(0, Some(1), (1, 9)).refresh(0, Some(1), (2, 8));
        assert_eq!(fits.states(), BTreeSet::from([fits.live(1, Rotated::InWindow)]));
        let refused = history().refresh(0, Some(1), (1, 9)).refresh(0, None, (2, 8));
        assert!(refused.states().is_empty());
        let two = history().refresh(0, Some(1), (1, 9)).refresh(0, Some(2), (2, 8));
        assert!(two.states().is_empty());
    }

    #[test]
    fn real_time_binds() {
        let after = history().sign_out(0, (1, 2)).refresh(0, Some(1), (3, 4));
        assert!(after.states().is_empty(), "a token after a sign-out has returned");
        let during = history().sign_out(0, (1, 4)).refresh(0, Some(1), (2, 3));
        assert_eq!(during.states(), BTreeSet::from([State::Over(Cause::SignOut)]));
        let lost_write = history().refresh(0, Some(1), (1, 2)).refresh(1, None, (3, 4));
        assert!(lost_write.states().is_empty(), "an acknowledged rotation that is not there");
    }

    #[test]
    fn a_lost_request_may_count_at_any_later_time_or_never() {
        let lost = history().lost(0, (1, 2));
        let both = BTreeSet::from([lost.start.clone(), lost.live(1, Rotated::InWindow)]);
        assert_eq!(lost.states(), both);
        let repeated = lost.refresh(0, Some(1), (3, 4));
        assert_eq!(repeated.states(), BTreeSet::from([repeated.live(1, Rotated::InWindow)]));
        let lost_sign_out = history().with(Op::SignOutEverywhere, Outcome::Unknown, (1, 2));
        let fits = lost_sign_out.refresh(0, Some(1), (3, 4)).refresh(1, None, (5, 6));
        assert_eq!(fits.states(), BTreeSet::from([State::Over(Cause::SignOut)]));
    }

    #[test]
    fn the_access_token_of_a_session_that_is_over_signs_nobody_out() {
        let everywhere =
            |history: History, outcome, time| history.with(Op::SignOutEverywhere, outcome, time);
        let first = everywhere(history(), Outcome::Done, (1, 2));
        let twice = everywhere(first, Outcome::Refused, (3, 4));
        assert_eq!(twice.states(), BTreeSet::from([State::Over(Cause::SignOut)]));
        let late = everywhere(history().sign_out(0, (1, 2)), Outcome::Done, (3, 4));
        assert!(late.states().is_empty());
        let early = everywhere(history(), Outcome::Refused, (1, 2));
        assert!(early.states().is_empty());
    }

    #[test]
    fn old_tokens_end_the_session_only_after_the_window() {
        let inside = history().rotated(3, Rotated::InWindow).refresh(1, None, (1, 2));
        assert_eq!(inside.states(), BTreeSet::from([inside.live(3, Rotated::InWindow)]));
        let late = history().rotated(3, Rotated::LongAgo).refresh(1, None, (1, 2));
        assert_eq!(late.states(), BTreeSet::from([State::Over(Cause::Reuse)]));
        let far = history().rotated(65, Rotated::LongAgo).refresh(0, None, (1, 2));
        assert_eq!(far.states(), BTreeSet::from([far.live(65, Rotated::LongAgo)]));
        let current = history().rotated(3, Rotated::LongAgo).refresh(3, Some(4), (1, 2));
        assert_eq!(current.states(), BTreeSet::from([current.live(4, Rotated::InWindow)]));
        let accepted = history().rotated(3, Rotated::LongAgo).refresh(2, Some(3), (1, 2));
        assert!(accepted.states().is_empty());
    }

    #[test]
    fn a_late_token_that_races_with_the_owner_ends_the_session_or_meets_a_new_window() {
        let race = history().rotated(1, Rotated::LongAgo).refresh(0, None, (1, 4)).refresh(
            1,
            Some(2),
            (2, 3),
        );
        let both = BTreeSet::from([State::Over(Cause::Reuse), race.live(2, Rotated::InWindow)]);
        assert_eq!(race.states(), both);
    }

    #[test]
    fn the_reference_breaks_the_chain() {
        let fresh = "00000000-0000-4000-8000-000000000001".to_owned();
        let op = |presented| Op::ReferenceRefresh { presented, fresh: fresh.clone() };
        let fits = history().rotated(1, Rotated::InWindow);
        let op = op(fits.token(1));
        let fits =
            fits.with(op.clone(), Outcome::Token(fresh.clone()), (1, 2)).refresh(0, None, (3, 4));
        let rotated = State::Live { current: fresh.clone(), rotated: Rotated::InWindow };
        assert_eq!(fits.states(), BTreeSet::from([rotated]));
        let twice = history().rotated(1, Rotated::InWindow).refresh(1, Some(2), (1, 9)).with(
            op,
            Outcome::Token(fresh),
            (1, 9),
        );
        assert!(twice.states().is_empty(), "one token, two next tokens");
    }

    #[test]
    fn any_token_of_the_session_signs_it_out() {
        let old = history().rotated(5, Rotated::LongAgo).sign_out(0, (1, 2));
        assert_eq!(old.states(), BTreeSet::from([State::Over(Cause::SignOut)]));
        let unknown = history().sign_out(1, (1, 2));
        assert_eq!(unknown.states(), BTreeSet::from([unknown.start.clone()]));
    }
}
