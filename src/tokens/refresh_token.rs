//! Refresh tokens: 36 characters of UUID shape, of which only the SHA-256 is stored.

use std::fmt;
use std::hash::{Hash, Hasher};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use uuid::Uuid;
use zeroize::Zeroize;

/// Length of the token's text in bytes.
pub const TOKEN_LEN: usize = 36;

/// The secret that a client trades for a session: the text of a UUID in lower case.
#[derive(Clone)]
pub struct RefreshToken([u8; TOKEN_LEN]);

/// The text is not a UUID in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a refresh token")]
pub struct InvalidRefreshToken;

impl RefreshToken {
    /// Accepts exactly the 36 characters of a lower-case UUID, of any version.
    pub fn parse(text: &str) -> Result<Self, InvalidRefreshToken> {
        let bytes: [u8; TOKEN_LEN] = text.as_bytes().try_into().map_err(|_| InvalidRefreshToken)?;
        let is_valid = bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
        if is_valid { Ok(Self(bytes)) } else { Err(InvalidRefreshToken) }
    }

    /// A fresh token (UUID v4) from the operating system's random source.
    pub fn generate() -> Self {
        Self::from_uuid(Uuid::new_v4())
    }

    /// The token with these 128 bits.
    pub(super) fn from_uuid(uuid: Uuid) -> Self {
        let mut text = [0; TOKEN_LEN];
        uuid.hyphenated().encode_lower(&mut text);
        Self(text)
    }

    /// What is stored and what actors are told.
    pub fn hash(&self) -> TokenHash {
        let hash = digest(&SHA256, &self.0);
        TokenHash(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The secret text, for the response to its owner only.
    pub fn expose(&self) -> &str {
        str::from_utf8(&self.0).expect("only ASCII gets in")
    }

    pub(super) fn as_bytes(&self) -> &[u8; TOKEN_LEN] {
        &self.0
    }
}

impl PartialEq for RefreshToken {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for RefreshToken {}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(***)")
    }
}

/// SHA-256 of a token's text: the only form that is stored, cached or sent to an actor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

/// A quarter of it spreads as well as the whole.
impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (start, _) = self.0.split_first_chunk().expect("a hash has 32 bytes");
        state.write_u64(u64::from_ne_bytes(*start));
    }
}

impl TokenHash {
    /// Length of the column's text in bytes.
    pub const STORED_LEN: usize = 66;

    /// The column's text: `\x` and 64 lower-case hexadecimal digits.
    pub fn stored(&self) -> String {
        let mut text = String::with_capacity(Self::STORED_LEN);
        self.push_stored(&mut text);
        text
    }

    /// Appends what `stored` gives, without an allocation of its own.
    pub fn push_stored(&self, text: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        // At once: every refresh writes two of these, and a growing text checks its room at each step.
        text.push_str("\\x");
        text.push_str(str::from_utf8(&digits).expect("digits are ASCII"));
    }

    /// Reads the column's text; `None` if it is anything else.
    pub fn parse_stored(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("\\x")?.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Some(Self(hash))
    }

    /// The raw hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Enough to recognise a hash in a log; the hash is no secret, but needless in full.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, _) = self.0.split_first_chunk().expect("a hash has 32 bytes");
        write!(f, "TokenHash({:08x}..)", u32::from_be_bytes(*start))
    }
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ac085b9f-0123-4567-89ab-cdef01234567";

    #[test]
    fn only_a_lower_case_uuid_is_a_token() {
        assert_eq!(RefreshToken::parse(TEXT).unwrap().expose(), TEXT);
        for text in [
            "",
            "ac085b9f012345678 9abcdef01234567",
            "AC085B9F-0123-4567-89AB-CDEF01234567",
            "ac085b9f-0123-4567-89ab-cdef01234567 ",
            "ac085b9f-0123-4567-89ab_cdef01234567",
            "ac085b9g-0123-4567-89ab-cdef01234567",
            "é085b9f-0123-4567-89ab-cdef01234567",
        ] {
            assert!(RefreshToken::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fresh_tokens_are_distinct_version_four_uuids() {
        let (one, other) = (RefreshToken::generate(), RefreshToken::generate());
        assert_ne!(one, other);
        assert_eq!(Uuid::parse_str(one.expose()).unwrap().get_version_num(), 4);
        assert_eq!(RefreshToken::parse(one.expose()).unwrap(), one);
    }

    #[test]
    fn the_stored_form_is_the_text_of_a_bytea() {
        let stored = RefreshToken::parse(TEXT).unwrap().hash().stored();
        assert_eq!(stored, STORED);
        assert_eq!(TokenHash::parse_stored(&stored).unwrap().stored(), stored);
    }

    #[test]
    fn other_text_is_no_stored_hash() {
        let upper = STORED.to_uppercase();
        for text in ["", "\\x", &STORED[2..], &STORED[..65], upper.as_str()] {
            assert_eq!(TokenHash::parse_stored(text), None, "{text:?}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        assert_eq!(format!("{:?}", RefreshToken::generate()), "RefreshToken(***)");
    }

    const STORED: &str = "\\x05edbba2f7be5471db1ef904cb1a82d5bf367bd50b7c6d9d6719f991ad17ecf4";
}
