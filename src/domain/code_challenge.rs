//! Proof Key for Code Exchange towards our own clients (RFC 7636, S256 only).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// What an application shows of its verifier when a flow begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CodeChallenge(String);

/// Not 43 characters of base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code challenge has 43 characters of base64url")]
pub struct InvalidCodeChallenge;

impl CodeChallenge {
    /// The challenge that fits a verifier; `None` for what cannot be one (RFC 7636, 4.1).
    pub fn of_verifier(verifier: &str) -> Option<Self> {
        let is_unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        let fits = (43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved);
        fits.then(|| Self(URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CodeChallenge {
    type Error = InvalidCodeChallenge;

    fn try_from(text: String) -> Result<Self, InvalidCodeChallenge> {
        let fits = text.len() == 43
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if fits { Ok(Self(text)) } else { Err(InvalidCodeChallenge) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_standard_fits() {
        let challenge =
            CodeChallenge::of_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(CodeChallenge::try_from(challenge.as_str().to_owned()), Ok(challenge));
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for text in ["", &"a".repeat(42), &"a".repeat(44), &format!("{}=", "a".repeat(42))] {
            assert!(CodeChallenge::try_from(text.to_owned()).is_err(), "{text}");
        }
        for text in ["a".repeat(42), "a".repeat(129), format!("{} ", "a".repeat(43))] {
            assert!(CodeChallenge::of_verifier(&text).is_none(), "{text}");
        }
    }
}
