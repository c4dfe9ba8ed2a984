//! Challenges of which nothing is stored until they are used.
//!
//! Anybody may begin a sign-in for anybody. If that wrote a row, strangers could fill a table, and
//! bounding it would drop the ceremonies of others. So a challenge says itself what it is good for:
//! when it began, how long it lives and a nonce are in its bytes, and a MAC over these, its purpose, its
//! user and the time at which that user's credentials last changed is the rest of them. An ending
//! changes that time, and with it what the MAC must be. Only that a challenge was used is stored.

use std::time::Duration;

use time::OffsetDateTime;

use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::ids::UserId;
use crate::sealing::Sealer;

/// Microseconds since 1970, until the year 4253.
const BEGUN: usize = 7;
/// Seconds, up to half a year.
const LIFETIME: usize = 3;
const NONCE: usize = 8;
const HEAD: usize = BEGUN + LIFETIME + NONCE;

/// Who may use a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever the authenticator names.
    Anybody,
    /// One user, until an ending.
    User {
        id: UserId,
        /// When the user's credentials last changed, if ever.
        changed_at: Option<OffsetDateTime>,
    },
}

/// A challenge that this server has made, for that purpose and holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedChallenge {
    pub begun_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// Makes a challenge.
pub fn sign(
    sealer: &Sealer,
    purpose: Purpose,
    holder: Holder,
    now: OffsetDateTime,
    lifetime: Duration,
) -> Challenge {
    let mut bytes = Challenge::random().0;
    let begun = u64::try_from(micros(now)).unwrap_or_default().to_be_bytes();
    bytes[..BEGUN].copy_from_slice(&begun[8 - BEGUN..]);
    let seconds = lifetime.as_secs() + u64::from(lifetime.subsec_nanos() > 0);
    let seconds = seconds.min((1 << (8 * LIFETIME)) - 1).to_be_bytes();
    bytes[BEGUN..BEGUN + LIFETIME].copy_from_slice(&seconds[8 - LIFETIME..]);
    let tag = sealer.sign_challenge(&terms(purpose, holder, &bytes[..HEAD]));
    let left = bytes.len() - HEAD;
    bytes[HEAD..].copy_from_slice(&tag[..left]);
    Challenge(bytes)
}

/// What a challenge says; `None` unless it was made for this purpose and holder, and is in time.
pub fn open(
    sealer: &Sealer,
    challenge: Challenge,
    purpose: Purpose,
    holder: Holder,
    now: OffsetDateTime,
) -> Option<SignedChallenge> {
    let (head, tag) = challenge.0.split_at(HEAD);
    if !sealer.is_challenge_of(&terms(purpose, holder, head), tag) {
        return None;
    }
    let begun = i128::from(number(&head[..BEGUN])) * 1_000;
    let begun_at = OffsetDateTime::from_unix_timestamp_nanos(begun).ok()?;
    let expires_at = begun_at + Duration::from_secs(number(&head[BEGUN..BEGUN + LIFETIME]));
    (now < expires_at).then_some(SignedChallenge { begun_at, expires_at })
}

/// What the MAC is over; no two lists of terms look alike.
fn terms(purpose: Purpose, holder: Holder, head: &[u8]) -> Vec<u8> {
    let purpose = purpose.name().as_bytes();
    let mut terms = Vec::with_capacity(64 + purpose.len());
    terms.extend_from_slice(&purpose.len().to_be_bytes());
    terms.extend_from_slice(purpose);
    terms.extend_from_slice(head);
    if let Holder::User { id, changed_at } = holder {
        terms.extend_from_slice(id.0.as_bytes());
        if let Some(changed_at) = changed_at {
            terms.extend_from_slice(&micros(changed_at).to_be_bytes());
        }
    }
    terms
}

/// As exact as Postgres.
const fn micros(at: OffsetDateTime) -> i128 {
    at.unix_timestamp_nanos().div_euclid(1_000)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn sealer(key: u8) -> Sealer {
        Sealer::new(None, Some(&[key; 32])).unwrap()
    }

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
            + time::Duration::microseconds(123_456)
    }

    #[test]
    fn a_challenge_says_when_it_began_and_when_it_ends() {
        let (sealer, now) = (sealer(1), now());
        let holder = Holder::Anybody;
        let challenge = sign(&sealer, Purpose::SignIn, holder, now, Duration::from_millis(59_001));
        let opened = open(&sealer, challenge, Purpose::SignIn, holder, now).unwrap();
        assert_eq!(opened, SignedChallenge { begun_at: now, expires_at: now + MINUTE });
        let late = now + MINUTE;
        assert_eq!(open(&sealer, challenge, Purpose::SignIn, holder, late), None);
        assert_ne!(challenge, sign(&sealer, Purpose::SignIn, holder, now, MINUTE));
    }

    #[test]
    fn it_is_good_for_its_purpose_its_user_and_until_its_credentials_change_only() {
        let (sealer, now) = (sealer(1), now());
        let user =
            |number, changed_at| Holder::User { id: UserId(Uuid::from_u128(number)), changed_at };
        let holders = [
            Holder::Anybody,
            user(1, None),
            user(2, None),
            user(1, Some(now)),
            user(1, Some(now + time::Duration::microseconds(1))),
        ];
        for made_for in holders {
            let challenge = sign(&sealer, Purpose::SignIn, made_for, now, MINUTE);
            for holder in holders {
                let opened = open(&sealer, challenge, Purpose::SignIn, holder, now);
                assert_eq!(opened.is_some(), holder == made_for, "{made_for:?} {holder:?}");
            }
            assert_eq!(open(&sealer, challenge, Purpose::Elevate, made_for, now), None);
            let elsewhere = Sealer::new(None, Some(&[2; 32])).unwrap();
            assert_eq!(open(&elsewhere, challenge, Purpose::SignIn, made_for, now), None);
        }
    }

    #[test]
    fn no_bit_of_it_can_be_changed() {
        let (sealer, now) = (sealer(1), now());
        let challenge = sign(&sealer, Purpose::SignIn, Holder::Anybody, now, MINUTE);
        for bit in 0..256 {
            let mut changed = challenge;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                open(&sealer, changed, Purpose::SignIn, Holder::Anybody, now),
                None,
                "{bit}"
            );
        }
    }
}
