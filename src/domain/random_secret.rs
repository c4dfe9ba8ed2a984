//! Secrets that are handed out once and looked up by their hash.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};

/// 256 random bits as 43 characters that may stand in URLs and cookies.
pub fn random_secret() -> SecretString {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// What a secret begins with whose cookie no other host can set.
const HOST_ONLY: &str = "h.";

/// A secret for a browser to keep; marked, if its cookie is one that only the host itself can set. The
/// mark is part of what is hashed, so nobody can take it off.
pub fn cookie_secret(is_host_only: bool) -> SecretString {
    let secret = random_secret();
    if is_host_only { format!("{HOST_ONLY}{}", secret.expose_secret()).into() } else { secret }
}

/// Whether a secret was marked.
pub fn is_host_only(secret: &str) -> bool {
    secret.starts_with(HOST_ONLY)
}

/// SHA-256 of some texts, each with its length, so that no two lists of them look alike.
pub fn hash_of(parts: &[&str]) -> [u8; 32] {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    digest(&SHA256, &all).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_the_same() {
        let (one, other) = (random_secret(), random_secret());
        assert_eq!(one.expose_secret().len(), 43);
        assert_ne!(one.expose_secret(), other.expose_secret());
        assert!(is_host_only(cookie_secret(true).expose_secret()));
        assert!(!is_host_only(cookie_secret(false).expose_secret()) && !is_host_only("h"));
    }

    #[test]
    fn lists_that_only_look_alike_have_other_hashes() {
        assert_eq!(hash_of(&["a", "b"]), hash_of(&["a", "b"]));
        assert_ne!(hash_of(&["a", "b"]), hash_of(&["ab", ""]));
        assert_ne!(hash_of(&["a", "b"]), hash_of(&["b", "a"]));
    }
}
