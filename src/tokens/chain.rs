//! The chain of refresh tokens: each one determines the next, for those who know the rotation key.
//!
//! Rotation is idempotent that way, on one node or on several, and an old token can be recognised any
//! number of rotations later without a row that remembers it.

use std::fmt;

use aws_lc_rs::{hkdf, hmac};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::refresh_token::RefreshToken;

/// Length of the rotation key in bytes.
pub const ROTATION_KEY_LEN: usize = 32;
/// Fixed for ever: another salt or label would break every chain.
const HKDF_SALT: &[u8] = b"keywright";
const HKDF_INFO: &[u8] = b"keywright refresh-token chain v1";

/// The key of the chain; it outlives signing keys, and who has it can continue any chain.
///
/// The key bytes live inside the HMAC context only, which clears them when it is dropped.
#[derive(Clone)]
pub struct RotationKey(hmac::Key);

impl RotationKey {
    /// Derives the key from configured material of any length (HKDF-SHA256).
    pub fn derive(material: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; ROTATION_KEY_LEN]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, HKDF_SALT)
            .extract(material)
            .expand(&[HKDF_INFO], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .expect("one SHA-256 block is a valid length");
        Self::from_bytes(&key)
    }

    /// The key itself, as it is kept in the database.
    pub fn from_bytes(key: &[u8; ROTATION_KEY_LEN]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The token that follows: all of its 128 bits come from the HMAC, none is a version.
    pub fn next(&self, token: &RefreshToken) -> RefreshToken {
        let tag = hmac::sign(&self.0, token.as_bytes());
        let (bits, _) = tag.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
        RefreshToken::from_uuid(Uuid::from_bytes(*bits))
    }

    /// What tells this key from others, and does not give it away.
    pub fn identity(&self) -> Vec<u8> {
        // Longer than a token, so that no token leads there.
        hmac::sign(&self.0, b"keywright fingerprint of a rotation key").as_ref().to_vec()
    }

    /// The next `steps` tokens with their distance from the given one; the first has distance 1.
    pub fn walk(
        &self,
        token: &RefreshToken,
        steps: u32,
    ) -> impl Iterator<Item = (u32, RefreshToken)> + '_ {
        let mut current = token.clone();
        (1..=steps).map(move |distance| {
            current = self.next(&current);
            (distance, current.clone())
        })
    }
}

impl fmt::Debug for RotationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "ac085b9f-0123-4567-89ab-cdef01234567";
    const FOLLOWING: [&str; 3] = [
        "72cf047a-9fbb-024e-648a-3ab08e58cbf4",
        "3c30a543-6278-3c08-74eb-7d7b307b11a4",
        "a6a0ddec-63db-bb02-7f07-f3ab471de4fd",
    ];

    fn key() -> RotationKey {
        RotationKey::from_bytes(&std::array::from_fn(|at| u8::try_from(at).unwrap()))
    }

    #[test]
    fn the_chain_is_fixed_by_key_and_token() {
        let token = RefreshToken::parse(FIRST).unwrap();
        assert_eq!(key().next(&token).expose(), FOLLOWING[0]);
        assert_eq!(key().next(&token), key().next(&token));
    }

    #[test]
    fn a_walk_counts_generations_from_one() {
        let walked: Vec<_> = key().walk(&RefreshToken::parse(FIRST).unwrap(), 3).collect();
        for (at, (distance, token)) in walked.iter().enumerate() {
            assert_eq!(usize::try_from(*distance).unwrap(), at + 1);
            assert_eq!(token.expose(), FOLLOWING[at]);
        }
        assert_eq!(walked.len(), 3);
    }

    #[test]
    fn configured_material_is_stretched_with_a_fixed_label() {
        let key = RotationKey::derive(b"key material of at least 32 bytes");
        let next = key.next(&RefreshToken::parse(FIRST).unwrap());
        assert_eq!(next.expose(), "6e80a3e5-96d0-4ab4-abce-705088a7fbe3");
    }

    #[test]
    fn every_next_token_is_one_that_clients_can_present() {
        for (_, token) in key().walk(&RefreshToken::generate(), 100) {
            assert_eq!(RefreshToken::parse(token.expose()).unwrap(), token);
        }
    }
}
