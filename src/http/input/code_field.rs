//! Codes that people type, in the ways in which they type them.

use serde::de::{Deserialize, Deserializer};

use super::fields::TextField;

/// First digits of the scripts whose digits stand for the same numbers: full-width ones, Arabic,
/// Persian and Urdu, Devanagari and Bengali.
const ZEROS: [char; 5] = ['\u{ff10}', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}'];

/// A code by mail, by SMS or of an authenticator: blanks and dashes that make it readable are gone,
/// and digits are those of ASCII. Whether it is a code is decided later.
#[derive(Clone)]
pub struct CodeField(String);

impl CodeField {
    /// The code as it was meant.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for CodeField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = TextField::deserialize(deserializer)?;
        Ok(Self(text.as_str().chars().filter(|c| !is_separator(*c)).map(ascii_digit).collect()))
    }
}

/// Blanks, dashes, and marks that cannot be seen and come along with copied text.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c,
            '-' | '\u{ad}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn ascii_digit(c: char) -> char {
    let value = ZEROS.iter().find_map(|zero| {
        let value = u32::from(c).checked_sub(u32::from(*zero))?;
        char::from_digit(value, 10)
    });
    value.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        serde_json::from_value::<CodeField>(text.into()).unwrap().0
    }

    #[test]
    fn a_code_is_read_as_it_was_meant() {
        for typed in [
            "123456",
            "123 456",
            " 123456\n",
            "123-456",
            "12 34 56",
            "123\u{a0}456",
            "123\u{2013}456",
            "\u{200e}123456\u{200f}",
            "\u{ff11}\u{ff12}\u{ff13}456",
            "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}",
            "\u{6f1}\u{6f2}\u{6f3}\u{6f4}\u{6f5}\u{6f6}",
            "\u{967}\u{968}\u{969}\u{96a}\u{96b}\u{96c}",
            "\u{9e7}\u{9e8}\u{9e9}\u{9ea}\u{9eb}\u{9ec}",
        ] {
            assert_eq!(read(typed), "123456", "{typed:?}");
        }
        for (typed, kept) in [("12345", "12345"), ("12a456", "12a456"), ("", ""), ("1.5", "1.5")] {
            assert_eq!(read(typed), kept);
        }
        assert!(serde_json::from_str::<CodeField>("123456").is_err());
        assert!(serde_json::from_str::<CodeField>("\"12\\u00003456\"").is_err());
    }
}
