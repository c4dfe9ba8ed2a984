//! Mail addresses as clients may give them: what the typed decoder and the database domain both accept.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};

/// Longest address in bytes (RFC 5321, 4.5.3.1.3 without the angle brackets).
const MAX_BYTES: usize = 254;
/// Longest label of a host name in bytes (RFC 1035, 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// An address in the spelling its owner typed; ASCII, at most 254 bytes, from a request.
///
/// Addresses read from the database are plain text: an administrator may have stored others.
/// Equality is that of the spelling; the database compares without case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// The text is not an address that both filters accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid e-mail address")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// Accepts the text as it is; nothing is trimmed or folded.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidEmailAddress> {
        let text = text.into();
        let Some((local, domain)) = text.split_once('@') else { return Err(InvalidEmailAddress) };
        if text.len() <= MAX_BYTES && is_dot_atom(local) && is_domain(domain) {
            Ok(Self(text))
        } else {
            Err(InvalidEmailAddress)
        }
    }

    /// The address as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address in lower case, for comparison and hashing.
    pub fn to_lower_case(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The address as typed, by value.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Shows the domain only: addresses do not belong into logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.0.split_once('@').map_or("", |(_, domain)| domain);
        write!(f, "EmailAddress(***@{domain})")
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_byte))
}

fn is_atom_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// At least two labels, the last of which begins and ends with a letter.
fn is_domain(domain: &str) -> bool {
    let Some((host, last)) = domain.rsplit_once('.') else { return false };
    host.split('.').all(is_label)
        && is_label(last)
        && last.starts_with(|c: char| c.is_ascii_alphabetic())
        && last.ends_with(|c: char| c.is_ascii_alphabetic())
}

fn is_label(label: &str) -> bool {
    label.len() <= MAX_LABEL_BYTES
        && label.starts_with(|c: char| c.is_ascii_alphanumeric())
        && label.ends_with(|c: char| c.is_ascii_alphanumeric())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &str) -> bool {
        EmailAddress::parse(text).is_ok()
    }

    #[test]
    fn ordinary_addresses_are_accepted_as_typed() {
        for text in
            ["a@b.c", "a.b+c@ex-ample.co", "o'x@c.de", "a@xn--e1aybc.com", "A@B.COM", "{x}|`~@c.de"]
        {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_the_decoder_refuses_is_refused() {
        for text in [
            "",
            "@",
            "a",
            "@c.de",
            "a@",
            "a@b",
            "a@b.1",
            "a@localhost",
            "a b@c.de",
            "a..b@c.de",
            ".a@c.de",
            "a.@c.de",
            "a@-b.com",
            "a@b-.com",
            "a@b_c.com",
            "a@[1.2.3.4]",
            " a@c.de",
            "a@c.de ",
            "a@b@c.de",
            "a@c..de",
            "a@.c.de",
            "a@c.de\n",
            "a\u{0}@c.de",
        ] {
            assert!(!accepts(text), "{text:?}");
        }
    }

    #[test]
    fn what_only_the_database_refuses_is_refused_here_already() {
        for text in ["\"q q\"@c.de", "é@ex.com", "a@é.com", "a@b.com.", "a@b~c.com"] {
            assert!(!accepts(text), "{text:?}");
        }
    }

    #[test]
    fn a_kelvin_sign_cannot_pose_as_a_letter() {
        assert!(!accepts("mi\u{212a}e@ex.com"));
    }

    #[test]
    fn lengths_are_bounded() {
        let label = "a".repeat(63);
        assert!(accepts(&format!("a@{label}.com")));
        assert!(!accepts(&format!("a@{label}a.com")));
        let rest = "@c.de";
        assert!(accepts(&format!("{}{rest}", "a".repeat(254 - rest.len()))));
        assert!(!accepts(&format!("{}{rest}", "a".repeat(255 - rest.len()))));
    }

    #[test]
    fn debug_output_hides_the_local_part() {
        let shown = format!("{:?}", EmailAddress::parse("someone@example.com").unwrap());
        assert_eq!(shown, "EmailAddress(***@example.com)");
    }
}
