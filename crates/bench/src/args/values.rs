//! Values of arguments, with their bounds.

use std::convert::Infallible;
use std::time::Duration;

use secrecy::SecretString;

/// Most sessions of one measurement; each is a connection, so a file descriptor on both ends.
pub(super) const MAX_SESSIONS: u64 = 16_384;
/// Longest measurement of one session count.
const MAX_SECONDS: f64 = 3_600.0;
/// Highest rate of an open loop, far beyond what one machine does.
const MAX_RATE: f64 = 200_000.0;

pub(super) fn measured_time(text: &str) -> Result<Duration, String> {
    duration(text, 0.05, MAX_SECONDS)
}

pub(super) fn pause(text: &str) -> Result<Duration, String> {
    duration(text, 0.001, 10.0)
}

pub(super) fn warm_up_time(text: &str) -> Result<Duration, String> {
    duration(text, 0.0, 600.0)
}

pub(super) fn cold_wait(text: &str) -> Result<Duration, String> {
    duration(text, 1.0, MAX_SECONDS)
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number of requests a second".to_owned())?;
    if (0.1..=MAX_RATE).contains(&rate) {
        Ok(rate)
    } else {
        Err(format!("not between 0.1 and {MAX_RATE} requests a second"))
    }
}

fn duration(text: &str, min: f64, max: f64) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (min..=max).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("not between {min} and {max} seconds"))
    }
}

pub(super) fn email_prefix(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "+-_".contains(c);
    if text.len() <= 24
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(good)
    {
        Ok(text.to_owned())
    } else {
        Err("at most 24 letters, digits, '+', '-', '_', and a letter or digit first".to_owned())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that clap requires")]
pub(super) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}
