//! The key pairs of software authenticators, in every algorithm that servers offer.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use serde_cbor_2::Value;

/// A COSE algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Es256 = -7,
    Es384 = -35,
    Es512 = -36,
    Rs256 = -257,
    Rs384 = -258,
    Rs512 = -259,
    Ps256 = -37,
    Ps384 = -38,
    Ps512 = -39,
    EdDsa = -8,
}

use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

impl Algorithm {
    /// In the order in which servers offer them.
    pub(crate) const ALL: [Self; 10] =
        [Es256, Es384, Es512, Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, EdDsa];

    /// Its number in the registry of COSE.
    pub(crate) fn number(self) -> i64 {
        self as i64
    }

    pub(crate) fn is_rsa(self) -> bool {
        matches!(self, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512)
    }

    fn rsa_encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Rs256 => &signature::RSA_PKCS1_SHA256,
            Rs384 => &signature::RSA_PKCS1_SHA384,
            Rs512 => &signature::RSA_PKCS1_SHA512,
            Ps256 => &signature::RSA_PSS_SHA256,
            Ps384 => &signature::RSA_PSS_SHA384,
            Ps512 => &signature::RSA_PSS_SHA512,
            Es256 | Es384 | Es512 | EdDsa => panic!("{self:?} is not for RSA keys"),
        }
    }
}

/// RSA keys are slow to make, so that all authenticators of a process share one.
static SHARED_RSA: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// A private key and how it signs.
pub(crate) enum KeyPair {
    Ecdsa(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Rsa(Algorithm),
    /// Nobody has the private key of these COSE bytes.
    Public(Vec<u8>),
}

impl KeyPair {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Es256 => Self::ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
            Es384 => Self::ecdsa(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
            Es512 => Self::ecdsa(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
            EdDsa => Self::Edwards(Ed25519KeyPair::generate().unwrap()),
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => Self::Rsa(algorithm),
        }
    }

    /// On a curve with a hash that need not belong together.
    pub(crate) fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(algorithm).unwrap())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(algorithm) => {
                let mut signature = vec![0; SHARED_RSA.public_modulus_len()];
                let encoding = algorithm.rsa_encoding();
                SHARED_RSA.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Public(_) => panic!("no private key"),
        }
    }

    /// The uncompressed point of a key on a Weierstrass curve.
    pub(crate) fn point(&self) -> &[u8] {
        match self {
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
            Self::Edwards(_) | Self::Rsa(_) | Self::Public(_) => panic!("no such point"),
        }
    }

    /// The public key in COSE, said to be for this algorithm.
    pub(crate) fn cose(&self, algorithm: Algorithm) -> Vec<u8> {
        let number = |value: i64| Value::Integer(value.into());
        let mut members = BTreeMap::from([(3, number(algorithm.number()))]);
        match self {
            Self::Ecdsa(_) => {
                let (x, y) = self.point()[1..].split_at(self.point().len() / 2);
                let curve = match x.len() {
                    32 => 1,
                    48 => 2,
                    _ => 3,
                };
                members.extend([(1, number(2)), (-1, number(curve))]);
                members.extend([(-2, Value::Bytes(x.to_vec())), (-3, Value::Bytes(y.to_vec()))]);
            }
            Self::Edwards(pair) => {
                let x = pair.public_key().as_ref().to_vec();
                members.extend([(1, number(1)), (-1, number(6)), (-2, Value::Bytes(x))]);
            }
            Self::Rsa(_) => {
                let public = SHARED_RSA.public_key();
                let n = public.modulus().big_endian_without_leading_zero().to_vec();
                let e = public.exponent().big_endian_without_leading_zero().to_vec();
                members.extend([(1, number(3)), (-1, Value::Bytes(n)), (-2, Value::Bytes(e))]);
            }
            Self::Public(cose) => return cose.clone(),
        }
        let members = members.into_iter().map(|(label, value)| (number(label), value)).collect();
        serde_cbor_2::to_vec(&Value::Map(members)).unwrap()
    }
}
