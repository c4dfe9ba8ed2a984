//! JSON whose numbers keep all their digits, for claims: ids of more than 53 bits, amounts of money.
//!
//! `serde_json` has a feature for that, but it would change every number of every crate in the program.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// As deep as `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// Any JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum ExactJson {
    Null,
    Bool(bool),
    Number(ExactNumber),
    String(String),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
}

impl ExactJson {
    /// This member, if it is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        if let Self::Object(members) = self { members.get(name) } else { None }
    }

    fn parse(text: &str, depth: usize) -> Result<Self, serde_json::Error> {
        if depth > MAX_DEPTH {
            return Err(serde_json::Error::custom("nested too deep"));
        }
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
                let parse =
                    |(name, raw): (_, &RawValue)| Ok((name, Self::parse(raw.get(), depth + 1)?));
                Self::Object(members.into_iter().map(parse).collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text)?;
                let parse = |raw: &RawValue| Self::parse(raw.get(), depth + 1);
                Self::Array(elements.into_iter().map(parse).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::String(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool(text == "true"),
            _ => Self::Number(ExactNumber(text.to_owned())),
        })
    }
}

impl<'de> Deserialize<'de> for ExactJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get(), 1).map_err(D::Error::custom)
    }
}

impl From<serde_json::Value> for ExactJson {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => Self::Number(ExactNumber(number.to_string())),
            Value::String(text) => Self::String(text),
            Value::Array(elements) => elements.into_iter().map(Self::from).collect(),
            Value::Object(members) => Self::Object(
                members.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ),
        }
    }
}

impl FromIterator<Self> for ExactJson {
    fn from_iter<I: IntoIterator<Item = Self>>(elements: I) -> Self {
        Self::Array(elements.into_iter().collect())
    }
}

/// A number as it was written. Equal are those of equal value.
#[derive(Clone, Debug)]
pub struct ExactNumber(String);

impl ExactNumber {
    /// The text of the reference, which knows doubles only, if that is the same number; else the
    /// number as it came.
    pub fn text(&self) -> String {
        let double: f64 = self.0.parse().unwrap_or(f64::INFINITY);
        let text = as_double(double);
        if double.is_finite() && Decimal::of(&text) == Decimal::of(&self.0) {
            text
        } else {
            self.0.clone()
        }
    }
}

impl PartialEq for ExactNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ExactNumber {}

impl PartialOrd for ExactNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ExactNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        Decimal::of(&self.0).cmp(&Decimal::of(&other.0))
    }
}

fn as_double(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let written = format!("{number:e}");
    if size >= 1.0 { written.replace('e', "e+") } else { written }
}

/// A fraction between 0.1 and 1, or nothing, times a power of ten.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    power: i64,
    /// Neither the first nor the last is zero.
    digits: Vec<u8>,
}

impl Decimal {
    /// Of a number of JSON.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let exponent: i64 = exponent.parse().unwrap_or(beyond);
        let unsigned = mantissa.strip_prefix('-');
        let (whole, fraction) = unsigned
            .unwrap_or(mantissa)
            .split_once('.')
            .unwrap_or((unsigned.unwrap_or(mantissa), ""));
        let all = || whole.bytes().chain(fraction.bytes());
        let zeros = all().take_while(|digit| *digit == b'0').count();
        let mut digits: Vec<u8> = all().skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Self { is_negative: false, power: 0, digits };
        }
        let count = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        let power = exponent.saturating_add(count(whole.len()) - count(zeros));
        Self { is_negative: unsigned.is_some(), power, digits }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| match (number.digits.is_empty(), number.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let size = || self.power.cmp(&other.power).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> ExactNumber {
        match serde_json::from_str(text).unwrap() {
            ExactJson::Number(number) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_have_the_text_of_the_reference_if_that_is_the_same_number() {
        for (given, text) in [
            ("0", "0"),
            ("-0", "-0"),
            ("5", "5"),
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("1e2", "100"),
            ("1e21", "1e+21"),
            ("1000000000000000000000", "1e+21"),
            ("-1e-7", "-1e-7"),
            ("0.1", "0.1"),
            ("9007199254740992", "9007199254740992"),
            ("9007199254740993", "9007199254740993"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
            ("18446744073709551615", "18446744073709551615"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("12345678901234567.89", "12345678901234567.89"),
            ("0.12345678901234567890", "0.12345678901234567890"),
            ("1e400", "1e400"),
            ("1e-400", "1e-400"),
        ] {
            assert_eq!(number(given).text(), text, "{given}");
        }
    }

    #[test]
    fn numbers_are_compared_by_value_and_to_the_last_digit() {
        let ascending = [
            "-1e99999999999999999999",
            "-9007199254740993",
            "-9007199254740992",
            "-1.5",
            "-1",
            "-1e-400",
            "0",
            "1e-99999999999999999999",
            "1e-400",
            "0.1",
            "0.12",
            "1",
            "1.05",
            "1.5",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "1e99999999999999999999",
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(number(left).cmp(&number(right)), at.cmp(&other), "{left} {right}");
            }
        }
        for (left, right) in [("1", "1.0"), ("100", "1e2"), ("0", "-0.0e7"), ("0.001", "1E-3")] {
            assert_eq!(number(left), number(right));
        }
    }

    #[test]
    fn values_are_read_as_they_are_and_no_deeper_than_a_bound() {
        let text =
            r#" {"a\u0041": [1, "x\"", null, true, false, {}], "b": {"c": 10000000000000000001}} "#;
        let read: ExactJson = serde_json::from_str(text).unwrap();
        assert_eq!(
            read.get("aA").unwrap(),
            &serde_json::json!([1, "x\"", null, true, false, {}]).into()
        );
        let deep = read.get("b").unwrap().get("c").unwrap();
        assert_eq!(deep, &ExactJson::Number(ExactNumber("10000000000000000001".to_owned())));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(serde_json::from_str::<ExactJson>(&nested(MAX_DEPTH)).is_ok());
        assert!(serde_json::from_str::<ExactJson>(&nested(100_000)).is_err());
    }
}
