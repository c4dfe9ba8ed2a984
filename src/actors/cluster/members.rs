//! What the rows of all nodes mean: who lives, and who disagrees with the others.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::{Digest, Fingerprints};
use crate::persistence::nodes::NodeRow;

/// A node that has been silent for longer is gone.
pub const GONE_AFTER: Duration = Duration::from_secs(3);
/// A heartbeat that is further in the future is none; Postgres' clock may have been set back.
const MOST_AHEAD: Duration = Duration::from_mins(1);
/// Clocks that differ by more make the times of tokens wrong.
const CLOCK_TOLERANCE_MS: u64 = 2_000;

/// What a node is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    Live,
    /// It was asked to end, and still serves.
    Draining,
    /// It was told to stop.
    Stopped,
    /// Silent without having said anything.
    Gone,
    /// Gone, and another node of its name lives.
    Replaced,
}

impl NodeState {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Live, Self::Draining, Self::Stopped, Self::Gone, Self::Replaced];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Replaced => "replaced",
        }
    }

    /// Whether it serves.
    pub const fn lives(self) -> bool {
        matches!(self, Self::Live | Self::Draining)
    }
}

/// What nodes must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    JwtKeys,
    RotationKey,
    EncryptionKey,
    StoredForms,
    Clock,
    Version,
    /// A setting that holds for all nodes and does not hold there.
    Settings,
}

impl Subject {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::JwtKeys,
        Self::RotationKey,
        Self::EncryptionKey,
        Self::StoredForms,
        Self::Clock,
        Self::Version,
        Self::Settings,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JwtKeys => "jwt-keys",
            Self::RotationKey => "rotation-key",
            Self::EncryptionKey => "encryption-key",
            Self::StoredForms => "stored-forms",
            Self::Clock => "clock",
            Self::Version => "version",
            Self::Settings => "settings",
        }
    }

    /// What comes of it, and what to look at.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::JwtKeys => {
                "it signs with other keys than the others, who refuse its tokens: HASURA_GRAPHQL_JWT_SECRET"
            }
            Self::RotationKey => {
                "it continues sessions otherwise than the others, which ends them: AUTH_REFRESH_TOKEN_KEY"
            }
            Self::EncryptionKey => {
                "it cannot open what the others seal, nor check their codes: AUTH_ENCRYPTION_KEY"
            }
            Self::StoredForms => {
                "it stores passwords and secrets in other forms: AUTH_STORAGE_COMPATIBILITY"
            }
            Self::Clock => {
                "its clock is more than 2 s off that of Postgres: look at its time service"
            }
            Self::Version => "its version is more than one minor version away: upgrade in steps",
            Self::Settings => "a setting for all nodes cannot be used there, see its log",
        }
    }
}

/// A node, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Member {
    pub row: NodeRow,
    pub state: NodeState,
    /// In seconds, as of now.
    pub silent_s: f64,
    pub fingerprints: Fingerprints,
    pub digest: Digest,
    /// In what it differs from most of the living, or from the oldest of them.
    pub disagrees: Vec<Subject>,
}

/// Judges rows that were read `age` ago.
pub fn assess(rows: &[NodeRow], age: Duration) -> Vec<Member> {
    let mut members: Vec<Member> = rows.iter().map(|row| member(row, age)).collect();
    let is_replaced = |gone: &Member| {
        members.iter().any(|other| {
            other.state.lives()
                && other.row.name == gone.row.name
                && other.row.started_at > gone.row.started_at
        })
    };
    let replaced: Vec<Uuid> = members
        .iter()
        .filter(|member| member.state == NodeState::Gone && is_replaced(member))
        .map(|member| member.row.id)
        .collect();
    for member in members.iter_mut().filter(|member| replaced.contains(&member.row.id)) {
        member.state = NodeState::Replaced;
    }
    let disagreements: Vec<_> =
        members.iter().map(|member| disagreements(member, &members)).collect();
    for (member, disagrees) in members.iter_mut().zip(disagreements) {
        member.disagrees = disagrees;
    }
    members
}

fn member(row: &NodeRow, age: Duration) -> Member {
    let silent_s = (row.silent_s + age.as_secs_f64()).max(0.0);
    let decode = |value: &serde_json::Value| Digest::deserialize(value).unwrap_or_default();
    let digest = decode(&row.digest);
    let state = if row.is_stopped {
        NodeState::Stopped
    } else if silent_s > GONE_AFTER.as_secs_f64() || row.silent_s < -MOST_AHEAD.as_secs_f64() {
        NodeState::Gone
    } else if digest.draining {
        NodeState::Draining
    } else {
        NodeState::Live
    };
    Member {
        state,
        silent_s,
        fingerprints: Fingerprints::deserialize(&row.fingerprints).unwrap_or_default(),
        digest,
        disagrees: Vec::new(),
        row: row.clone(),
    }
}

fn disagreements(member: &Member, all: &[Member]) -> Vec<Subject> {
    if !member.state.lives() {
        return Vec::new();
    }
    let differs = |subject: &Subject| match subject {
        Subject::JwtKeys => !is_usual(member, all, |of| &of.fingerprints.jwt_keys),
        Subject::RotationKey => !is_usual(member, all, |of| &of.fingerprints.rotation_key),
        Subject::EncryptionKey => !is_usual(member, all, |of| &of.fingerprints.encryption_key),
        Subject::StoredForms => !is_usual(member, all, |of| &of.fingerprints.stored_forms),
        Subject::Clock => member.row.clock_ms.unsigned_abs() > CLOCK_TOLERANCE_MS,
        Subject::Version => usual(all, |of| &of.row.version)
            .is_some_and(|usual| are_far_apart(usual, &member.row.version)),
        Subject::Settings => member.digest.settings_refused.is_some(),
    };
    Subject::ALL.into_iter().filter(differs).collect()
}

/// Whether it says what most of the living say; of values that are said equally often, what the oldest
/// says. What another version does not tell is no disagreement.
fn is_usual(member: &Member, all: &[Member], value: fn(&Member) -> &str) -> bool {
    value(member).is_empty() || usual(all, value).is_none_or(|usual| usual == value(member))
}

fn usual(all: &[Member], value: fn(&Member) -> &str) -> Option<&str> {
    // By value: how often, and how old its first node is.
    let mut said: BTreeMap<&str, (usize, std::cmp::Reverse<usize>)> = BTreeMap::new();
    let living = all.iter().filter(|member| member.state.lives());
    for (place, member) in living.enumerate().filter(|(_, member)| !value(member).is_empty()) {
        said.entry(value(member)).or_insert((0, std::cmp::Reverse(place))).0 += 1;
    }
    said.into_iter().max_by_key(|(_, weight)| *weight).map(|(value, _)| value)
}

/// Whether a node of the one version may not run beside one of the other.
fn are_far_apart(one: &str, other: &str) -> bool {
    let minor = |version: &str| {
        let mut parts = version.split(['.', '-', '+']).map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    match (minor(one), minor(other)) {
        (Some((major, minor)), Some((other_major, other_minor))) => {
            major != other_major || minor.abs_diff(other_minor) > 1
        }
        _ => one != other,
    }
}

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;
