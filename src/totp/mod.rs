//! Time-based one-time passwords: the parameters that authenticator applications expect, and nothing stored.

mod enrolment;

use secrecy::{ExposeSecret as _, SecretString};
use time::OffsetDateTime;
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::Zeroizing;

pub use self::enrolment::{Enrolment, EnrolmentError};

const DIGITS: u8 = 6;
const PERIOD_S: u64 = 30;
/// Steps before and after the current one whose codes are taken.
const SKEW: u16 = 1;
/// Random bytes of a new secret.
const SECRET_BYTES: usize = 32;

/// The number of a period since 1970; of each user every step is accepted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub i64);

/// The stored secret is not base32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TOTP secret is not base32")]
pub struct InvalidSecret;

/// A fresh secret in base32, 52 characters without padding.
pub fn generate_secret() -> SecretString {
    let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).expect("the operating system has randomness");
    Secret::from(bytes.as_slice()).to_base32().into()
}

/// The step whose code this is, if it is one of the few that are taken now.
///
/// Blanks around the code are ignored. Secrets of any length, in any case and with or without
/// padding are read: users of an adopted database keep their authenticators. Codes are compared
/// in constant time.
pub fn check(
    secret: &SecretString,
    code: &str,
    now: OffsetDateTime,
) -> Result<Option<Step>, InvalidSecret> {
    let time = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let step = read(secret)?.check(code.trim(), time);
    Ok(step.and_then(|step| i64::try_from(step).ok()).map(Step))
}

fn read(secret: &SecretString) -> Result<Totp, InvalidSecret> {
    let text = Zeroizing::new(secret.expose_secret().trim().to_ascii_uppercase());
    let text = text.trim_end_matches('=');
    if text.is_empty() {
        return Err(InvalidSecret);
    }
    let secret = Secret::try_from_base32(text).map_err(|_unparsed| InvalidSecret)?;
    // Old secrets may be shorter than the RFC recommends; their owners may sign in all the same.
    Ok(Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(DIGITS)
        .with_step_duration(PERIOD_S)
        .with_skew(SKEW)
        .with_secret(secret)
        .build_noncompliant())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret of RFC 6238, appendix B: `12345678901234567890`.
    const RFC: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn step(secret: &str, code: &str, seconds: i64) -> Option<i64> {
        check(&secret.into(), code, at(seconds)).unwrap().map(|step| step.0)
    }

    #[test]
    fn the_codes_are_those_of_the_rfc() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(step(RFC, code, seconds), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn one_step_before_and_one_after_are_taken() {
        for (seconds, taken) in
            [(0, false), (29, false), (30, true), (60, true), (119, true), (120, false)]
        {
            // 050471 belongs to the step that begins 1 s before 1111111111.
            let start = 1_111_111_110 - 60;
            assert_eq!(step(RFC, "050471", start + seconds).is_some(), taken, "{seconds}");
        }
    }

    #[test]
    fn blanks_around_a_code_do_not_count_and_nothing_else_is_a_code() {
        assert_eq!(step(RFC, " 287082\n", 59), Some(1));
        for wrong in ["", "28708", "2870820", "+87082", "28 082", "２87082", "287 082", "abcdef"] {
            assert_eq!(step(RFC, wrong, 59), None, "{wrong:?}");
        }
    }

    #[test]
    fn secrets_of_old_users_are_read_in_any_case_length_and_padding() {
        assert_eq!(step(&RFC.to_lowercase(), "287082", 59), Some(1));
        for secret in ["GEZDGNBV", "gezdgnbvgy======", "GE"] {
            assert!(check(&secret.into(), "000000", at(59)).is_ok(), "{secret}");
        }
        for wrong in ["", "====", "not base32!", "01890"] {
            assert!(check(&wrong.into(), "000000", at(59)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_new_secret_has_52_characters_that_are_read_again() {
        let secret = generate_secret();
        assert_eq!(secret.expose_secret().len(), 52);
        assert_ne!(secret.expose_secret(), generate_secret().expose_secret());
        assert!(check(&secret, "000000", at(59)).is_ok());
    }
}
