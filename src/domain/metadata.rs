//! Metadata of users and tokens: JSON objects of clients, bounded in what Postgres gives back.
//!
//! It is part of every session's response, so its size is what each refresh costs. `jsonb` writes
//! some values longer than they came (`1e300` has 301 digits), which is why that form is measured.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Most digits behind the point that `numeric` holds.
const MAX_SCALE: i64 = 16_383;

/// Most digits before it.
const MAX_WHOLE: i64 = 131_072;

/// Stands for exponents beyond everything.
const FAR: i64 = 1 << 32;

/// A JSON object within `AUTH_METADATA_MAX_BYTES`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Box<RawValue>);

impl Metadata {
    /// `None` if it would take more than `max_bytes`.
    pub fn within(json: Box<RawValue>, max_bytes: usize) -> Option<Self> {
        (stored_length(json.get()) <= max_bytes).then_some(Self(json))
    }

    /// As the client wrote it; numbers keep all their digits.
    pub fn raw(&self) -> &RawValue {
        &self.0
    }
}

/// Bytes of valid JSON in the form in which `jsonb` prints it; a little more where a key is
/// repeated, of which `jsonb` keeps the last.
fn stored_length(json: &str) -> usize {
    let bytes = json.as_bytes();
    let mut length = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (read, written) = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => (1, 0),
            // Followed by a space.
            b',' | b':' => (1, 2),
            b'"' => string(&bytes[at..]),
            b'-' | b'0'..=b'9' => {
                let rest = &json[at..];
                let is_part =
                    |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                (end, number(&rest[..end]))
            }
            _ => (1, 1),
        };
        length = length.saturating_add(written);
        at += read;
    }
    length
}

/// Bytes of the string at the front, as it came and as it is printed.
fn string(json: &[u8]) -> (usize, usize) {
    let (mut read, mut written) = (1, 2);
    while let Some(&byte) = json.get(read) {
        match byte {
            b'"' => return (read + 1, written),
            b'\\' => {
                let (longer, printed) = escape(&json[read..]);
                read += longer;
                written += printed;
            }
            _ => {
                read += 1;
                written += 1;
            }
        }
    }
    (read, written)
}

/// The same of an escape; the halves of a pair are taken one by one.
fn escape(json: &[u8]) -> (usize, usize) {
    match json.get(1) {
        Some(b'u') => {
            let digits = json.get(2..6).and_then(|digits| std::str::from_utf8(digits).ok());
            let unit = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            (6, unit.map_or(6, printed_unit))
        }
        Some(b'/') => (2, 1),
        _ => (2, 2),
    }
}

/// Bytes of a UTF-16 unit, escaped again where it has to be.
const fn printed_unit(unit: u32) -> usize {
    match unit {
        // Of a pair each half has two of its four bytes.
        0x08 | 0x09 | 0x0a | 0x0c | 0x0d | 0x22 | 0x5c | 0x80..0x800 | 0xd800..0xe000 => 2,
        0..0x20 => 6,
        0x20..0x80 => 1,
        _ => 3,
    }
}

/// Bytes of a number without its exponent.
fn number(text: &str) -> usize {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let too_long = if exponent.starts_with('-') { -FAR } else { FAR };
    let exponent: i64 = exponent.parse().unwrap_or(too_long).clamp(-FAR, FAR);
    let (sign, digits) = mantissa.strip_prefix('-').map_or((0, mantissa), |digits| (1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|digit| *digit == b'0').count();
    let is_zero = zeros == whole.len() + fraction.len();
    let count = |length: usize| i64::try_from(length).unwrap_or(FAR);
    let places = (count(fraction.len()) - exponent).max(0);
    if places > MAX_SCALE {
        // Nothing that Postgres can hold.
        return usize::MAX;
    }
    let before = if is_zero { 1 } else { (count(whole.len()) + exponent - count(zeros)).max(1) };
    let behind = if places > 0 { places + 1 } else { 0 };
    if before > MAX_WHOLE {
        return usize::MAX;
    }
    usize::try_from(sign + before + behind).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use crate::domain::metadata::*;

    #[test]
    fn what_is_measured_is_the_form_in_which_postgres_prints_it() {
        for (json, printed) in [
            (r"{}", r"{}"),
            (r#" { "a" : [ 1 , true, null ] } "#, r#"{"a": [1, true, null]}"#),
            (r#"{"a":"\u0041\/\u00e9\ud83d\ude00é"}"#, r#"{"a": "A/éé😀"}"#),
            (r#"{"a":"\u000a\n\u0001\"\\\u0022"}"#, r#"{"a": "\n\n\u0001\"\\\""}"#),
            (r#"{"a":"[1e9, 2]"}"#, r#"{"a": "[1e9, 2]"}"#),
            ("[1e3,1E+2,-1.5e1]", "[1000, 100, -15]"),
            ("[1.50,1.5e-3,-2e-2]", "[1.50, 0.0015, -0.02]"),
            ("[12.34e1,12.34e2,12.34e3]", "[123.4, 1234, 12340]"),
            ("[0,0e9,0.0,0.001e2,0.001e3]", "[0, 0, 0.0, 0.1, 1]"),
        ] {
            assert_eq!(stored_length(json), printed.len(), "{json}");
        }
    }

    #[test]
    fn short_numbers_do_not_hide_long_ones() {
        assert_eq!(stored_length("1e308"), 309);
        assert_eq!(stored_length("1e-300"), 302);
        for endless in ["1e-20000", "1e-99999999999999999999", "0e-16384"] {
            assert_eq!(stored_length(endless), usize::MAX, "{endless}");
        }
        for endless in ["1e131072", "1e99999999999999999999"] {
            assert_eq!(stored_length(endless), usize::MAX, "{endless}");
        }
        assert_eq!(stored_length("1e131071"), 131_072);
    }

    #[test]
    fn a_limit_is_reached_to_the_byte() {
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        assert!(Metadata::within(json(r#"{"a":1}"#), 8).is_some());
        assert!(Metadata::within(json(r#"{"a":1}"#), 7).is_none());
    }
}
