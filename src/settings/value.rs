//! The text forms of values: exactly what the reference accepts, nothing more.
//!
//! Operators keep their environment when they change over, so `0x10`, `1_000`, `1h30m` and `T` have
//! to mean what they meant.

use std::time::Duration;

use url::Url;

/// Why a text is not a value of its type; never repeats the text, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

fn malformed<T>(reason: &str) -> Result<T, Malformed> {
    Err(Malformed(reason.to_owned()))
}

/// `1 t T TRUE true True` and `0 f F FALSE false False`.
pub fn parse_bool(text: &str) -> Result<bool, Malformed> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => malformed("write true or false"),
    }
}

/// A decimal, `0x`, `0o`, `0b` or leading-zero octal number with a sign if need be; underscores may
/// stand between digits and after the base prefix.
pub fn parse_int(text: &str) -> Result<i64, Malformed> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_magnitude(rest)?);
    let value = if negative { -magnitude } else { magnitude };
    i64::try_from(value).or_else(|_| malformed("the number is out of range"))
}

fn parse_magnitude(text: &str) -> Result<u64, Malformed> {
    let bytes = text.as_bytes();
    let (radix, digits, prefixed) = match (bytes.first(), bytes.get(1)) {
        (Some(b'0'), Some(b'x' | b'X')) => (16, &text[2..], true),
        (Some(b'0'), Some(b'o' | b'O')) => (8, &text[2..], true),
        (Some(b'0'), Some(b'b' | b'B')) => (2, &text[2..], true),
        (Some(b'0'), Some(_)) => (8, &text[1..], true),
        _ => (10, text, false),
    };
    // An underscore needs a digit, or the prefix, before it and a digit behind it.
    let mut before_is_digit = prefixed;
    let mut value: u64 = 0;
    let mut last_is_digit = false;
    for character in digits.chars() {
        if character == '_' {
            if !before_is_digit {
                return malformed("write a whole number");
            }
            (before_is_digit, last_is_digit) = (false, false);
            continue;
        }
        let Some(digit) = character.to_digit(radix) else {
            return malformed("write a whole number");
        };
        let Some(next) =
            value.checked_mul(u64::from(radix)).and_then(|v| v.checked_add(u64::from(digit)))
        else {
            return malformed("the number is out of range");
        };
        value = next;
        (before_is_digit, last_is_digit) = (true, true);
    }
    if last_is_digit { Ok(value) } else { malformed("write a whole number") }
}

/// Numbers with units, concatenated: `300ms`, `60s`, `1h30m`, `1.5h`; a bare `0` is the only number
/// without a unit. No setting means anything with a negative duration, so that is refused here.
pub fn parse_duration(text: &str) -> Result<Duration, Malformed> {
    const FORM: &str = "write a duration such as 300ms, 60s, 5m or 1h30m";
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return if text == "-0" {
            Ok(Duration::ZERO)
        } else {
            malformed("it must not be negative")
        };
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return malformed(FORM);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = take_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(behind) => take_digits(behind),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return malformed(FORM);
        }
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let Some(unit) = unit_nanos(unit) else { return malformed(FORM) };
        nanos = nanos.saturating_add(scaled(whole, fraction, unit));
        rest = after;
    }
    // The reference counts nanoseconds in 64 bits with a sign.
    match u64::try_from(nanos) {
        Ok(nanos) if i64::try_from(nanos).is_ok() => Ok(Duration::from_nanos(nanos)),
        _ => malformed("the duration is too long"),
    }
}

fn take_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn scaled(whole: &str, fraction: &str, unit: u128) -> u128 {
    let digits = |text: &str| {
        text.bytes().fold(0_u128, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
        })
    };
    // More than 18 places are below a nanosecond of an hour.
    let fraction = &fraction[..fraction.len().min(18)];
    let places = u32::try_from(fraction.len()).expect("at most 18");
    digits(whole).saturating_mul(unit).saturating_add(digits(fraction) * unit / 10_u128.pow(places))
}

/// Split at commas, each element [`trimmed`], empty ones dropped.
pub fn parse_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(trimmed)
        .filter(|element| !element.is_empty())
        .map(ToOwned::to_owned)
        .collect()
}

/// Whether an element of a list has something at its ends that [`trimmed`] takes off.
pub fn has_untrimmed_element(text: &str) -> bool {
    text.split(',').any(|element| trimmed(element).len() < element.len())
}

/// Without what nobody means at the ends: blanks, line feeds, and marks that cannot be seen.
///
/// They come from files of secrets, from lists that are written for people, and from pages that
/// values were copied from.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\0'))
}

/// One of `allowed`, in exactly that spelling and case.
pub fn parse_choice(text: &str, allowed: &[&'static str]) -> Result<&'static str, Malformed> {
    allowed
        .iter()
        .find(|name| **name == text)
        .copied()
        .ok_or_else(|| Malformed(format!("allowed values are {}", allowed.join(", "))))
}

/// An address that begins with `http://` or `https://`.
pub fn parse_http_url(text: &str) -> Result<Url, Malformed> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            Malformed("write an address that begins with http:// or https://".to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_twelve_spellings() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Ok(false), "{text}");
        }
        for text in ["yes", "on", "tRUE", " true", "2", ""] {
            assert!(parse_bool(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_know_bases_signs_and_underscores() {
        for (text, value) in [
            ("10", 10),
            ("+10", 10),
            ("-10", -10),
            ("0", 0),
            ("0x10", 16),
            ("0XfF", 255),
            ("0o17", 15),
            ("017", 15),
            ("0b101", 5),
            ("1_000", 1_000),
            ("0x_10", 16),
            ("0_7", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(parse_int(text), Ok(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+",
            "_1",
            "1_",
            "1__0",
            "0x",
            "0x_",
            "08",
            "1.0",
            " 1",
            "1e3",
            "ten",
            "--1",
            "9223372036854775808",
            "99999999999999999999999",
        ] {
            assert!(parse_int(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, value) in [
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("-0", Duration::ZERO),
            ("300ms", Duration::from_millis(300)),
            ("60s", Duration::from_mins(1)),
            ("5m0s", Duration::from_mins(5)),
            ("1h30m", Duration::from_mins(90)),
            ("1.5h", Duration::from_mins(90)),
            (".5s", Duration::from_millis(500)),
            ("1.s", Duration::from_secs(1)),
            ("2us", Duration::from_micros(2)),
            ("2µs", Duration::from_micros(2)),
            ("7ns", Duration::from_nanos(7)),
            ("+1s", Duration::from_secs(1)),
        ] {
            assert_eq!(parse_duration(text), Ok(value), "{text}");
        }
        for text in ["", "5", "1d", "s", ".s", "-1s", "1h 30m", "1S", "99999999999h", "+"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_lose_empty_elements_and_what_is_at_the_ends_of_others() {
        assert_eq!(parse_list("a, b,,c,"), ["a", "b", "c"]);
        assert_eq!(parse_list("\u{feff}a b\t,\u{a0}c\r\n"), ["a b", "c"]);
        assert!(parse_list(", ,").is_empty());
        assert!(has_untrimmed_element("a, b") && !has_untrimmed_element("a b,,c"));
    }

    #[test]
    fn choices_are_exact_and_the_refusal_lists_them() {
        assert_eq!(parse_choice("LOGIN", &["LOGIN", "PLAIN"]), Ok("LOGIN"));
        let refused = parse_choice("login", &["LOGIN", "PLAIN"]).unwrap_err();
        assert_eq!(refused.to_string(), "allowed values are LOGIN, PLAIN");
    }
}
