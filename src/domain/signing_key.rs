//! The life of a stored signing key, and what is due in it.

use std::time::Duration;

use time::OffsetDateTime;

/// How long tokens of a key are accepted beyond the lifetime of the last one: for nodes that hear
/// late of a rotation, and for clocks that differ.
pub const ACCEPTED_LONGER: Duration = Duration::from_mins(1);

/// Where a key is in its life, which goes one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, so that others know it when it begins to sign.
    Next,
    /// Signs.
    Current,
    /// Has signed; accepted for a while.
    Retired,
}

impl KeyState {
    /// As it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Retired => "retired",
        }
    }

    /// From the stored word; later versions may know others.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Next, Self::Current, Self::Retired].into_iter().find(|state| state.as_str() == word)
    }
}

/// A stored key without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    pub kid: String,
    pub algorithm: String,
    pub state: KeyState,
    /// Since when it is published.
    pub created_at: OffsetDateTime,
    /// From when on it may sign.
    pub ready_at: OffsetDateTime,
    /// When it begins to sign by itself, whatever the period of rotations.
    pub signs_at: Option<OffsetDateTime>,
    pub activated_at: Option<OffsetDateTime>,
    /// Until when tokens of a retired key are accepted.
    pub accepted_until: Option<OffsetDateTime>,
}

/// Which keys take part in a rotation; it fails if others do meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// None if the configured key has signed so far.
    pub current: Option<String>,
    pub next: String,
}

/// What is to be done by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueStep {
    /// A next key, like the current one.
    Add {
        algorithm: String,
    },
    Rotate(Rotation),
    /// Tokens of this key are accepted no more, so that its private half is of no use.
    Erase {
        kid: String,
    },
}

/// The rotation that the stored keys allow, if there is a next key.
pub fn rotation(keys: &[SigningKey]) -> Option<Rotation> {
    let of = |state| keys.iter().find(move |key| key.state == state);
    let current = of(KeyState::Current).map(|key| key.kid.clone());
    Some(Rotation { current, next: of(KeyState::Next)?.kid.clone() })
}

/// The first thing that is due; what is only erased comes last, so that it holds nothing up. Nodes
/// judge by their own clock; the statements judge again.
///
/// Nothing begins by itself: as long as the configured key signs, an operator has to say that
/// others can verify by the published set.
pub fn due_step(
    keys: &[SigningKey],
    now: OffsetDateTime,
    period: Option<Duration>,
    publish_ahead: Duration,
) -> Option<DueStep> {
    signing_step(keys, now, period, publish_ahead).or_else(|| {
        let ended = |key: &&SigningKey| {
            key.state == KeyState::Retired && key.accepted_until.is_none_or(|until| until <= now)
        };
        keys.iter().find(ended).map(|key| DueStep::Erase { kid: key.kid.clone() })
    })
}

/// The next key that is to sign, or to be added.
fn signing_step(
    keys: &[SigningKey],
    now: OffsetDateTime,
    period: Option<Duration>,
    publish_ahead: Duration,
) -> Option<DueStep> {
    let current = keys.iter().find(|key| key.state == KeyState::Current);
    let next = keys.iter().find(|key| key.state == KeyState::Next);
    let ends_at = period
        .zip(current.and_then(|key| key.activated_at))
        .and_then(|(period, since)| since.checked_add(time::Duration::try_from(period).ok()?));
    match (current, next) {
        (_, Some(next)) => {
            let at = match (next.signs_at, ends_at) {
                (Some(one), Some(other)) => one.min(other),
                (one, other) => one.or(other)?,
            };
            let is_due = at.max(next.ready_at) <= now;
            is_due.then(|| rotation(keys).map(DueStep::Rotate)).flatten()
        }
        (Some(current), None) => {
            let is_due =
                now.checked_add(time::Duration::try_from(publish_ahead).ok()?)? >= ends_at?;
            is_due.then(|| DueStep::Add { algorithm: current.algorithm.clone() })
        }
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const START: OffsetDateTime = datetime!(2026-11-27 12:00 UTC);
    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);

    fn key(kid: &str, state: KeyState) -> SigningKey {
        SigningKey {
            kid: kid.to_owned(),
            algorithm: "ES256".to_owned(),
            state,
            created_at: START,
            ready_at: START + HOUR,
            signs_at: None,
            activated_at: (state != KeyState::Next).then_some(START),
            accepted_until: (state == KeyState::Retired).then_some(START + HOUR),
        }
    }

    fn rotate(current: Option<&str>, next: &str) -> DueStep {
        let current = current.map(ToOwned::to_owned);
        DueStep::Rotate(Rotation { current, next: next.to_owned() })
    }

    #[test]
    fn nothing_happens_by_itself_unless_somebody_said_so() {
        let year = START + DAY * 365;
        assert_eq!(due_step(&[], year, Some(DAY), HOUR), None);
        let keys = [key("b", KeyState::Next)];
        assert_eq!(due_step(&keys, year, Some(DAY), HOUR), None, "the configured key signs");
        let keys = [key("a", KeyState::Current), key("b", KeyState::Next)];
        assert_eq!(due_step(&keys, year, None, HOUR), None);
    }

    #[test]
    fn a_period_adds_a_key_ahead_of_its_end_and_rotates_at_its_end() {
        let mut keys = vec![key("a", KeyState::Current)];
        let add = DueStep::Add { algorithm: "ES256".to_owned() };
        let second = Duration::from_secs(1);
        let ahead = START + DAY - HOUR;
        assert_eq!(due_step(&keys, ahead - second, Some(DAY), HOUR), None);
        assert_eq!(due_step(&keys, ahead, Some(DAY), HOUR), Some(add));
        keys.push(SigningKey { ready_at: START + DAY + HOUR, ..key("b", KeyState::Next) });
        assert_eq!(due_step(&keys, START + DAY, Some(DAY), HOUR), None, "published too late");
        let both = rotate(Some("a"), "b");
        assert_eq!(due_step(&keys, START + DAY + HOUR, Some(DAY), HOUR), Some(both));
    }

    #[test]
    fn a_key_may_have_a_time_of_its_own_and_does_not_sign_before_it_is_ready() {
        let keys = [SigningKey { signs_at: Some(START), ..key("b", KeyState::Next) }];
        assert_eq!(due_step(&keys, START, None, HOUR), None);
        assert_eq!(due_step(&keys, START + HOUR, None, HOUR), Some(rotate(None, "b")));
    }

    #[test]
    fn a_private_key_goes_when_its_tokens_are_over() {
        let keys = [key("a", KeyState::Retired)];
        assert_eq!(due_step(&keys, START, None, HOUR), None);
        let erase = DueStep::Erase { kid: "a".to_owned() };
        assert_eq!(due_step(&keys, START + HOUR, None, HOUR), Some(erase));
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [KeyState::Next, KeyState::Current, KeyState::Retired] {
            assert_eq!(KeyState::parse(state.as_str()), Some(state));
        }
        assert_eq!(KeyState::parse("later"), None);
    }
}
