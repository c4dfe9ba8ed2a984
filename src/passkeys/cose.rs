//! Public keys as authenticators write them and as they are stored: `COSE_Key` (WebAuthn 6.5.1.1, RFC
//! 9052 and 9053).

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_cbor_2::Value;
use webauthn_rs_core::proto::COSEAlgorithm;

use super::CeremonyError;
use crate::domain::random_secret::hex;

/// The algorithms of the reference in its order; the preferred one first.
pub(super) const ALGORITHMS: [COSEAlgorithm; 10] = [
    COSEAlgorithm::ES256,
    COSEAlgorithm::ES384,
    COSEAlgorithm::ES521, // The crate's name for ES512, which is ECDSA on P-521.
    COSEAlgorithm::RS256,
    COSEAlgorithm::RS384,
    COSEAlgorithm::RS512,
    COSEAlgorithm::PS256,
    COSEAlgorithm::PS384,
    COSEAlgorithm::PS512,
    COSEAlgorithm::EDDSA,
];

/// No key is longer: a modulus of 8192 bits, and what goes around it.
const MAX_KEY: usize = 1_100;

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1_024;

/// Bytes of an RSA exponent; usually 65537, which has three.
const MAX_EXPONENT: usize = 4;

/// The least exponent of a new key: smaller ones make mistakes in padding checks exploitable (NIST SP
/// 800-56B asks for no less).
const LEAST_NEW_EXPONENT: u32 = 65_537;

/// Encodings of the points of Ed25519 whose order is at most eight, without the bit for the sign.
/// Under such a key a signature may be good for many messages.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// Labels that all kinds of keys have.
const KEY_TYPE: i128 = 1;
const ALGORITHM: i128 = 3;

/// Labels of keys on curves.
const CURVE: i128 = -1;
const X: i128 = -2;
const Y: i128 = -3;

/// Labels of RSA keys, which mean something else on curves.
const N: i128 = -1;
const E: i128 = -2;

/// Values of [`KEY_TYPE`].
const OKP: i128 = 1;
const EC2: i128 = 2;
const RSA: i128 = 3;

/// A public key of one of the [`ALGORITHMS`], which verifies by that one and by no other.
pub(super) struct CoseKey {
    pub(super) algorithm: COSEAlgorithm,
    key: ParsedPublicKey,
}

impl CoseKey {
    /// Reads a key whose type, curve and sizes are those of its algorithm.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CeremonyError> {
        parse(bytes).ok_or(CeremonyError::PublicKey)
    }

    /// The same for a key that is about to be registered, which must not be weak. Stored keys are
    /// not asked, or else their users would be locked out.
    pub(super) fn parse_new(bytes: &[u8]) -> Result<Self, CeremonyError> {
        let key = Self::parse(bytes)?;
        if Members::parse(bytes).is_none_or(|members| members.is_weak()) {
            return Err(CeremonyError::WeakPublicKey);
        }
        Ok(key)
    }

    /// Whether this key signed these bytes.
    pub(super) fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), CeremonyError> {
        self.key.verify_sig(signed, signature).map_err(|_| CeremonyError::Signature)
    }
}

fn parse(bytes: &[u8]) -> Option<CoseKey> {
    let members = Members::parse(bytes)?;
    let algorithm = COSEAlgorithm::try_from(members.integer(ALGORITHM)?).ok()?;
    let key = match algorithm {
        COSEAlgorithm::ES256 => members.elliptic(1, 32, &ECDSA_P256_SHA256_ASN1),
        COSEAlgorithm::ES384 => members.elliptic(2, 48, &ECDSA_P384_SHA384_ASN1),
        COSEAlgorithm::ES521 => members.elliptic(3, 66, &ECDSA_P521_SHA512_ASN1),
        COSEAlgorithm::RS256 => members.rsa(&RSA_PKCS1_2048_8192_SHA256),
        COSEAlgorithm::RS384 => members.rsa(&RSA_PKCS1_2048_8192_SHA384),
        COSEAlgorithm::RS512 => members.rsa(&RSA_PKCS1_2048_8192_SHA512),
        COSEAlgorithm::PS256 => members.rsa(&RSA_PSS_2048_8192_SHA256),
        COSEAlgorithm::PS384 => members.rsa(&RSA_PSS_2048_8192_SHA384),
        COSEAlgorithm::PS512 => members.rsa(&RSA_PSS_2048_8192_SHA512),
        COSEAlgorithm::EDDSA => members.edwards(),
        COSEAlgorithm::INSECURE_RS1 | COSEAlgorithm::PinUvProtocol => None,
    }?;
    Some(CoseKey { algorithm, key })
}

/// What a key says of itself. Members without meaning here are passed over, as the reference does.
struct Members(BTreeMap<Value, Value>);

impl Members {
    fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_KEY {
            return None;
        }
        let value: Value = serde_cbor_2::from_slice(bytes).ok()?;
        // Any form but the shortest, and a label given twice, make the bytes longer than they need to
        // be: authenticators write canonical CBOR, so that a key can be read in one way only.
        if serde_cbor_2::to_vec(&value).ok()?.len() != bytes.len() {
            return None;
        }
        if let Value::Map(members) = value { Some(Self(members)) } else { None }
    }

    fn integer(&self, label: i128) -> Option<i128> {
        match self.0.get(&Value::Integer(label))? {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    fn bytes(&self, label: i128) -> Option<&[u8]> {
        match self.0.get(&Value::Integer(label))? {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Whether somebody else than its owner could sign for a key of this form.
    fn is_weak(&self) -> bool {
        match self.integer(KEY_TYPE) {
            Some(OKP) => self.bytes(X).is_none_or(has_small_order),
            Some(RSA) => self.bytes(E).is_none_or(|exponent| {
                exponent.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
                    < LEAST_NEW_EXPONENT
            }),
            _ => false,
        }
    }

    /// A key on a Weierstrass curve; the library refuses points that are not on it.
    fn elliptic(
        &self,
        curve: i128,
        size: usize,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Option<ParsedPublicKey> {
        if self.integer(KEY_TYPE)? != EC2 || self.integer(CURVE)? != curve {
            return None;
        }
        let (x, y) = (self.bytes(X)?, self.bytes(Y)?);
        if x.len() != size || y.len() != size {
            return None;
        }
        // The uncompressed form of SEC 1.
        ParsedPublicKey::new(algorithm, [&[4], x, y].concat()).ok()
    }

    fn edwards(&self) -> Option<ParsedPublicKey> {
        const ED25519_CURVE: i128 = 6;
        if self.integer(KEY_TYPE)? != OKP || self.integer(CURVE)? != ED25519_CURVE {
            return None;
        }
        let x = self.bytes(X).filter(|x| x.len() == 32)?;
        ParsedPublicKey::new(&ED25519, x).ok()
    }

    /// An RSA key whose numbers have no leading zeros (RFC 8230); the library refuses what has.
    fn rsa(&self, algorithm: &'static RsaParameters) -> Option<ParsedPublicKey> {
        if self.integer(KEY_TYPE)? != RSA {
            return None;
        }
        let (n, e) = (self.bytes(N)?, self.bytes(E)?);
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
        if !MODULUS.contains(&n.len()) || e.len() > MAX_EXPONENT || e == [1] {
            return None;
        }
        if !is_odd(n) || !is_odd(e) {
            return None;
        }
        RsaPublicKeyComponents { n, e }.to_parsed_public_key(algorithm).ok()
    }
}

/// Whether these are the bytes of a point of small order, also if they are not its shortest form.
fn has_small_order(point: &[u8]) -> bool {
    let mut point = point.to_vec();
    if let Some(last) = point.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER.contains(&hex(&point).as_str())
}

#[cfg(test)]
#[path = "cose_tests.rs"]
mod tests;
