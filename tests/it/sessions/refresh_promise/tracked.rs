//! A session that a test follows: what its owner has received, and what must be true of it.

use std::collections::{BTreeSet, HashMap};

use sqlx::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::model::{Cause, Chain, Event, Op, Outcome, Rotated, State, possible_states};
use crate::support::app::Session;
use crate::support::random::Random;
use crate::support::two_nodes::stored;

/// Who is asked for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Node,
    Reference,
}

/// One session, its owner and its thieves.
pub(crate) struct Tracked {
    pub(crate) id: Uuid,
    pub(crate) access_token: String,
    pub(crate) state: State,
    /// Every token that the owner received, with the number of rotations before it.
    received: HashMap<String, usize>,
    held: String,
    is_owned: bool,
}

/// What the row of a session says; `None` if it is gone.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    hash: String,
    rotated_at: Option<OffsetDateTime>,
}

impl Row {
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Option<Self> {
        let row: Option<(String, Option<OffsetDateTime>)> = sqlx::query_as(
            "select refresh_token_hash, keywright_rotated_at from auth.refresh_tokens where id = $1",
        )
        .bind(id)
        .fetch_optional(db)
        .await
        .unwrap();
        row.map(|(hash, rotated_at)| Self { hash, rotated_at })
    }

    fn is(&self, state: &State, rotated: impl Fn(OffsetDateTime) -> Rotated) -> bool {
        let State::Live { current, rotated: expected } = state else { return false };
        *expected == self.rotated_at.map_or(Rotated::Never, rotated) && stored(current) == self.hash
    }
}

/// What was seen while a session was used.
pub(crate) struct Round<'a> {
    pub(crate) events: &'a [Event],
    pub(crate) row: Option<Row>,
    pub(crate) reports: Reports,
    /// A node may have ended before it could report.
    pub(crate) lost_reports: bool,
}

/// Log lines that say that a late token of a session was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reports {
    /// Of those who ended the session.
    pub(crate) ended: usize,
    /// Of those who lost the reply of Postgres.
    pub(crate) unknown: usize,
}

impl Reports {
    /// Counts what a line says about `session.ended`; that a token is often repeated ends nothing.
    pub(crate) fn count(&mut self, ended: Option<&str>) {
        match ended {
            None => {}
            Some("yes") => self.ended += 1,
            Some("unknown") => self.unknown += 1,
            Some(other) => panic!("session.ended is {other}"),
        }
    }
}

impl Tracked {
    pub(crate) fn new(session: &Session) -> Self {
        let token = session.refresh_token().to_owned();
        Self {
            id: session.id().parse().unwrap(),
            access_token: session.access_token().to_owned(),
            state: State::Live { current: token.clone(), rotated: Rotated::Never },
            received: HashMap::from([(token.clone(), 0)]),
            held: token,
            is_owned: true,
        }
    }

    /// The newest token that the owner received.
    pub(crate) fn held(&self) -> &str {
        &self.held
    }

    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Whether its owner can go on; not so if the reference rotated it and the response was lost.
    pub(crate) fn is_owned(&self) -> bool {
        self.is_owned
    }

    /// Whether what the owner holds would be taken for a thief's: they lost a response, and did not
    /// ask again while there was time.
    pub(crate) fn is_late(&self) -> bool {
        match &self.state {
            State::Live { current, rotated } => {
                *rotated == Rotated::LongAgo && *current != self.held
            }
            State::Over(_) => true,
        }
    }

    /// The grace window has passed since whatever happened before.
    pub(crate) fn age(&mut self) {
        if let State::Live { rotated: rotated @ Rotated::InWindow, .. } = &mut self.state {
            *rotated = Rotated::LongAgo;
        }
    }

    /// Something to do with the session; mostly what an owner does.
    pub(crate) fn choose(&self, random: &mut Random, at: At, may_end: bool) -> Op {
        let presented = self.choose_token(random);
        let ends = may_end && random.chance(15);
        match at {
            At::Node if ends && random.chance(30) => Op::SignOutEverywhere,
            At::Node if ends => Op::SignOut(presented),
            At::Node => Op::Refresh(presented),
            At::Reference if ends => Op::ReferenceSignOut(presented),
            At::Reference => {
                let fresh = random.uuid().to_string();
                Op::ReferenceRefresh { presented, fresh }
            }
        }
    }

    /// Mostly the newest one.
    fn choose_token(&self, random: &mut Random) -> String {
        let is_late = matches!(self.state, State::Live { rotated: Rotated::LongAgo, .. });
        let is_owner = random.chance(if is_late { 50 } else { 75 });
        let back = if is_owner { 0 } else { random.below(6) };
        let newest = self.received[&self.held];
        let wanted = newest.saturating_sub(back);
        let mut known: Vec<_> = self.received.iter().collect();
        known.sort_unstable_by_key(|(_, rank)| **rank);
        let (token, _) = known.into_iter().rfind(|(_, rank)| **rank <= wanted).expect("the first");
        token.clone()
    }

    /// The owner has the response to a refresh.
    pub(crate) fn receive(&mut self, presented: &str, token: &str) {
        let rank = self.received[presented] + 1;
        self.received.insert(token.to_owned(), rank);
        if rank > self.received[&self.held] {
            token.clone_into(&mut self.held);
        }
    }

    /// Checks what was seen in a round against what a correct server may do, and the promise itself.
    pub(crate) fn conclude(
        &mut self,
        chain: &Chain,
        round: &Round<'_>,
        rotated: impl Fn(OffsetDateTime) -> Rotated + Copy,
    ) {
        let Round { events, row, reports, lost_reports } = round;
        let states = possible_states(chain, &BTreeSet::from([self.state.clone()]), events);
        assert!(!states.is_empty(), "no correct server responds so: {:#?}", self.described(events));
        let actual: Vec<_> = states
            .iter()
            .filter(|state| match row {
                Some(row) => row.is(state, rotated),
                None => matches!(state, State::Over(_)),
            })
            .collect();
        let described = || (row, &states, self.described(events));
        assert!(!actual.is_empty(), "this cannot be stored: {:#?}", described());

        let may_be = |cause| actual.contains(&&State::Over(cause));
        match reports.ended {
            0 => assert!(
                *lost_reports || reports.unknown > 0 || row.is_some() || may_be(Cause::SignOut),
                "late reuse was not reported: {:#?}",
                described()
            ),
            1 => assert!(may_be(Cause::Reuse), "reported without reason: {:#?}", described()),
            more => panic!("reported {more} times: {:#?}", described()),
        }
        if self.must_live(events) {
            assert!(row.is_some(), "a session ended for no reason: {:#?}", described());
        }
        let next = actual[0].clone();
        let is_owned = match &next {
            State::Live { current, .. } => {
                *current == self.held || *current == chain.next(&self.held)
            }
            State::Over(_) => false,
        };
        assert!(is_owned || !self.must_live(events), "its owner cannot go on: {:#?}", described());
        self.state = next;
        self.is_owned = is_owned;
    }

    /// Whether nothing has happened that may cost the owner the session.
    pub(crate) fn must_live(&self, events: &[Event]) -> bool {
        let State::Live { current, rotated } = &self.state else { return false };
        events.iter().all(|event| match &event.op {
            Op::Refresh(presented) => *rotated != Rotated::LongAgo || presented == current,
            // The reference forgives no lost response.
            Op::ReferenceRefresh { .. } => match event.outcome {
                Outcome::Token(_) => event.is_heard,
                ref outcome => *outcome == Outcome::Refused,
            },
            op => !op.is_sign_out(),
        })
    }

    /// An operation, without what differs between two runs of one seed.
    pub(crate) fn describe(&self, op: &Op) -> String {
        let (what, token) = match op {
            Op::Refresh(token) => ("refresh", token),
            Op::SignOut(token) => ("sign-out", token),
            Op::ReferenceRefresh { presented, .. } => ("the reference's refresh", presented),
            Op::ReferenceSignOut(token) => ("the reference's sign-out", token),
            Op::SignOutEverywhere => return "sign-out everywhere".to_owned(),
        };
        format!("{what} with token {}", self.received[token])
    }

    /// The history with ranks instead of tokens.
    fn described(&self, events: &[Event]) -> (String, Vec<String>) {
        let name = |token: &str| {
            let rank = self.received.get(token).map(ToString::to_string);
            rank.unwrap_or_else(|| format!("({})", &token[..4]))
        };
        let mut text = format!("{:?}", self.state);
        let mut lines: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
        for part in std::iter::once(&mut text).chain(&mut lines) {
            for token in self.received.keys() {
                *part = part.replace(token.as_str(), &name(token));
            }
        }
        (text, lines)
    }
}
