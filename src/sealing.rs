//! Secrets at rest: AES-256-GCM, bound to whose they are.
//!
//! Sealed text is `kw1:` and the base64 of nonce, ciphertext and tag. Text without that mark is
//! plain, or was sealed by Nhost Auth: hexadecimal, with the configured key as it is.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, RandomizedNonceKey,
    UnboundKey,
};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::domain::ids::UserId;

const MARK: &str = "kw1:";
/// Fixed for ever: another salt or label would lose every sealed secret.
const HKDF_SALT: &[u8] = b"keywright";
const HKDF_INFO: &[u8] = b"keywright sealed secrets v1";
const HKDF_CODES_INFO: &[u8] = b"keywright one-time codes v1";
const HKDF_CHALLENGES_INFO: &[u8] = b"keywright challenges v1";
/// Shortest text that Nhost Auth writes; its plain secrets are shorter.
const NHOST_AUTH_LENGTH: usize = 64;

/// The key is not 16, 24 or 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("16, 24 or 32 bytes in hexadecimal are needed (32, 48 or 64 digits)")]
pub struct InvalidKey;

/// No key of this node opens the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealed secret cannot be opened: AUTH_ENCRYPTION_KEY is not the key that it was sealed with"
)]
pub struct CannotOpen;

/// In which form a secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// With the key that seals now.
    Sealed,
    /// With a key that only opens: the one of the database, where another is configured.
    SealedBefore,
    /// By Nhost Auth.
    NhostAuth,
}

/// A secret that was opened.
#[derive(Debug)]
pub struct Opened {
    pub secret: SecretString,
    pub form: Form,
}

/// Seals with one key, opens with all that it has.
pub struct Sealer {
    codes: hmac::Key,
    /// The first one signs.
    challenges: Vec<hmac::Key>,
    /// The first one seals.
    keys: Vec<RandomizedNonceKey>,
    nhost_auth: Option<LessSafeKey>,
}

impl Sealer {
    /// From `AUTH_ENCRYPTION_KEY` and from the key that the database keeps; the configured one
    /// seals.
    pub fn new(
        configured: Option<&SecretString>,
        stored: Option<&[u8; 32]>,
    ) -> Result<Self, InvalidKey> {
        let configured = configured.map(decode_key).transpose()?;
        let materials = [configured.as_ref().map(|key| key.as_slice()), stored.map(|key| &key[..])];
        let materials: Vec<&[u8]> = materials.into_iter().flatten().collect();
        let first = materials.first().ok_or(InvalidKey)?;
        let codes = hmac::Key::new(hmac::HMAC_SHA256, expand(first, HKDF_CODES_INFO).as_slice());
        let signing = |material| {
            hmac::Key::new(hmac::HMAC_SHA256, expand(material, HKDF_CHALLENGES_INFO).as_slice())
        };
        let challenges = materials.iter().copied().map(signing).collect();
        let keys = materials.iter().map(|material| derive(material)).collect();
        let nhost_auth = configured.map(|key| nhost_auth_key(&key));
        Ok(Self { codes, challenges, keys, nhost_auth })
    }

    /// Seals; only who names the same context can open.
    pub fn seal(&self, context: &[u8], secret: &SecretString) -> String {
        let mut text = Zeroizing::new(secret.expose_secret().as_bytes().to_vec());
        let nonce = self.keys[0]
            .seal_in_place_append_tag(Aad::from(context), &mut *text)
            .expect("a short text can be sealed");
        let sealed = [nonce.as_ref().as_slice(), &text].concat();
        format!("{MARK}{}", STANDARD_NO_PAD.encode(sealed))
    }

    /// A keyed hash of a code that is too short for a plain one; who names another context gets
    /// another hash.
    pub fn hash_code(&self, context: &[u8], code: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.codes, &[context, code.as_bytes()].concat());
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// A keyed hash of what a challenge stands for, to be handed out with it.
    pub fn sign_challenge(&self, terms: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.challenges[0], terms);
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// Whether this is the beginning of such a hash, by any key of this node.
    pub fn is_challenge_of(&self, terms: &[u8], beginning: &[u8]) -> bool {
        self.challenges.iter().any(|key| {
            let tag = hmac::sign(key, terms);
            let tag = tag.as_ref().get(..beginning.len()).unwrap_or_default();
            verify_slices_are_equal(tag, beginning).is_ok()
        })
    }

    /// What tells the key that seals from others, and does not give it away.
    pub fn identity(&self) -> Vec<u8> {
        self.hash_code(b"keywright fingerprint of a sealing key", "").to_vec()
    }

    /// Opens what is sealed and takes what is plain.
    pub fn open(&self, context: &[u8], stored: &str) -> Result<Opened, CannotOpen> {
        if let Some(encoded) = stored.strip_prefix(MARK) {
            let sealed = STANDARD_NO_PAD.decode(encoded).map_err(|_other| CannotOpen)?;
            return self.open_own(context, &sealed);
        }
        if stored.len() >= NHOST_AUTH_LENGTH
            && let Some(sealed) = decode_hex(stored)
        {
            return self.open_nhost_auth(&sealed);
        }
        Ok(Opened { secret: stored.into(), form: Form::Plain })
    }

    fn open_own(&self, context: &[u8], sealed: &[u8]) -> Result<Opened, CannotOpen> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        for (at, key) in self.keys.iter().enumerate() {
            let mut text = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::assume_unique_for_key(*nonce);
            if let Ok(plain) = key.open_in_place(nonce, Aad::from(context), &mut text) {
                let form = if at == 0 { Form::Sealed } else { Form::SealedBefore };
                return Ok(Opened { secret: utf8(plain)?, form });
            }
        }
        Err(CannotOpen)
    }

    fn open_nhost_auth(&self, sealed: &[u8]) -> Result<Opened, CannotOpen> {
        let key = self.nhost_auth.as_ref().ok_or(CannotOpen)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            key.open_in_place(nonce, Aad::empty(), &mut text).map_err(|_unspecified| CannotOpen)?;
        Ok(Opened { secret: utf8(plain)?, form: Form::NhostAuth })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

/// Whether a configured key can be used.
pub fn check_key(key: &SecretString) -> Result<(), InvalidKey> {
    decode_key(key).map(drop)
}

fn decode_key(key: &SecretString) -> Result<Zeroizing<Vec<u8>>, InvalidKey> {
    let bytes = decode_hex(key.expose_secret()).ok_or(InvalidKey)?;
    if matches!(bytes.len(), 16 | 24 | 32) { Ok(bytes) } else { Err(InvalidKey) }
}

fn derive(material: &[u8]) -> RandomizedNonceKey {
    RandomizedNonceKey::new(&AES_256_GCM, expand(material, HKDF_INFO).as_slice())
        .expect("the key has 32 bytes")
}

fn expand(material: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, HKDF_SALT)
        .extract(material)
        .expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("one SHA-256 block is a valid length");
    key
}

fn nhost_auth_key(key: &[u8]) -> LessSafeKey {
    let algorithm = match key.len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        _ => &AES_256_GCM,
    };
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("the length was checked"))
}

fn utf8(plain: &[u8]) -> Result<SecretString, CannotOpen> {
    Ok(str::from_utf8(plain).map_err(|_other| CannotOpen)?.into())
}

fn decode_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        bytes.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(bytes)
}

/// How secrets are stored, and what opens them.
#[derive(Debug)]
pub struct SecretStorage {
    pub sealer: Arc<Sealer>,
    /// Whether new secrets are sealed; the reference reads plain ones only.
    pub seals: bool,
}

impl SecretStorage {
    /// The text to store.
    pub fn stored(&self, id: UserId, secret: &SecretString) -> SecretString {
        if self.seals { self.sealer.seal(&context(id), secret).into() } else { secret.clone() }
    }

    /// Whether a secret in this form is to be stored anew.
    ///
    /// What Nhost Auth sealed stays readable for it unless everything is sealed our way.
    pub fn replaces(&self, form: Form) -> bool {
        match form {
            Form::Plain | Form::NhostAuth => self.seals,
            Form::Sealed => !self.seals,
            Form::SealedBefore => true,
        }
    }
}

/// What a sealed secret is bound to: it opens in no other row.
pub fn context(id: UserId) -> Vec<u8> {
    [b"totp:".as_slice(), id.0.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const ANN: &[u8] = b"ann";

    fn key(byte: u8, bytes: usize) -> SecretString {
        format!("{byte:02x}").repeat(bytes).into()
    }

    #[test]
    fn what_is_sealed_opens_for_its_context_and_its_key_only() {
        for bytes in [16, 24, 32] {
            let sealer = Sealer::new(Some(&key(7, bytes)), None).unwrap();
            let text = sealer.seal(ANN, &SECRET.into());
            assert!(text.starts_with(MARK) && !text.contains(SECRET));
            assert_ne!(text, sealer.seal(ANN, &SECRET.into()), "every seal has its own nonce");
            let opened = sealer.open(ANN, &text).unwrap();
            assert_eq!((opened.secret.expose_secret(), opened.form), (SECRET, Form::Sealed));
            assert_eq!(sealer.open(b"bob", &text).unwrap_err(), CannotOpen);
            let other = Sealer::new(Some(&key(8, bytes)), None).unwrap();
            assert_eq!(other.open(ANN, &text).unwrap_err(), CannotOpen);
        }
    }

    #[test]
    fn a_code_has_another_hash_for_another_user_and_another_key() {
        let one = Sealer::new(Some(&key(7, 32)), None).unwrap();
        let hash = one.hash_code(ANN, "123456");
        assert_eq!(hash, Sealer::new(Some(&key(7, 32)), None).unwrap().hash_code(ANN, "123456"));
        assert_ne!(hash, one.hash_code(b"bob", "123456"));
        assert_ne!(hash, one.hash_code(ANN, "123457"));
        assert_ne!(hash, Sealer::new(Some(&key(8, 32)), None).unwrap().hash_code(ANN, "123456"));
    }

    #[test]
    fn a_challenge_is_recognised_by_every_key_of_the_node_and_by_no_other() {
        let before = Sealer::new(None, Some(&[9; 32])).unwrap();
        let after = Sealer::new(Some(&key(7, 32)), Some(&[9; 32])).unwrap();
        let (old, new) = (before.sign_challenge(ANN), after.sign_challenge(ANN));
        assert_ne!(old, new);
        assert!(after.is_challenge_of(ANN, &old[..14]) && after.is_challenge_of(ANN, &new[..14]));
        assert!(before.is_challenge_of(ANN, &old) && !before.is_challenge_of(ANN, &new[..14]));
        assert!(!after.is_challenge_of(b"bob", &new[..14]));
        assert!(!after.is_challenge_of(ANN, &[0; 33]), "it is never as long");
    }

    #[test]
    fn changed_and_cut_texts_do_not_open() {
        let sealer = Sealer::new(Some(&key(7, 32)), None).unwrap();
        let text = sealer.seal(ANN, &SECRET.into());
        for at in MARK.len()..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer.open(ANN, &changed).is_err(), "{at}");
            assert!(sealer.open(ANN, &text[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_configured_key_seals_and_the_stored_one_still_opens() {
        let stored = [9; 32];
        let before = Sealer::new(None, Some(&stored)).unwrap();
        let sealed = before.seal(ANN, &SECRET.into());
        let after = Sealer::new(Some(&key(7, 32)), Some(&stored)).unwrap();
        assert_eq!(after.open(ANN, &sealed).unwrap().form, Form::SealedBefore);
        let again = after.seal(ANN, &SECRET.into());
        assert_eq!(after.open(ANN, &again).unwrap().form, Form::Sealed);
        assert!(before.open(ANN, &again).is_err());
    }

    #[test]
    fn what_nhost_auth_sealed_opens_with_the_configured_key() {
        for bytes in [16, 24, 32] {
            let raw = vec![7; bytes];
            let mut text = SECRET.as_bytes().to_vec();
            let nonce = [1; NONCE_LEN];
            nhost_auth_key(&raw)
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::empty(),
                    &mut text,
                )
                .unwrap();
            let hex: String = nonce
                .iter()
                .chain(&text)
                .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let sealer = Sealer::new(Some(&key(7, bytes)), None).unwrap();
            let opened = sealer.open(ANN, &hex).unwrap();
            assert_eq!((opened.secret.expose_secret(), opened.form), (SECRET, Form::NhostAuth));
            let without = Sealer::new(None, Some(&[9; 32])).unwrap();
            assert_eq!(without.open(ANN, &hex).unwrap_err(), CannotOpen);
        }
    }

    #[test]
    fn plain_text_stays_what_it_is() {
        let sealer = Sealer::new(None, Some(&[9; 32])).unwrap();
        for plain in [SECRET, "", "gezd", "abcdef0123456789"] {
            let opened = sealer.open(ANN, plain).unwrap();
            assert_eq!((opened.secret.expose_secret(), opened.form), (plain, Form::Plain));
        }
    }

    #[test]
    fn only_keys_of_16_24_or_32_bytes_in_hexadecimal_are_taken() {
        for good in [16, 24, 32] {
            assert!(check_key(&key(0xab, good)).is_ok());
        }
        for bad in [key(7, 15), key(7, 33), "".into(), "7".into(), "zz".repeat(16).into()] {
            assert_eq!(check_key(&bad), Err(InvalidKey));
        }
        assert!(Sealer::new(None, None).is_err());
    }
}
