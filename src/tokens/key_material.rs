//! One signing key: parsed once, so that signing and verifying need no parsing.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self as sig, KeyPair as _};
use aws_lc_rs::{hmac, io};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters,
    EllipticCurveKeyType, Jwk, OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse,
    RSAKeyParameters, RSAKeyType,
};
use zeroize::Zeroizing;

/// The private half, or the shared secret.
pub(super) enum KeyMaterial {
    Hmac(Box<hmac::Key>),
    Rsa {
        pair: sig::RsaKeyPair,
        encoding: &'static dyn sig::RsaEncoding,
        public: sig::ParsedPublicKey,
    },
    Ecdsa {
        pair: sig::EcdsaKeyPair,
        public: sig::ParsedPublicKey,
    },
    Ed25519 {
        pair: sig::Ed25519KeyPair,
        public: sig::ParsedPublicKey,
    },
}

/// The private key could not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key cannot sign")]
pub struct SignError;

impl KeyMaterial {
    /// A shared secret; the text's bytes are taken as they are.
    pub(super) fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return None,
        };
        Some(Self::Hmac(Box::new(hmac::Key::new(algorithm, secret))))
    }

    /// A key pair; errors name the member of the secret that is wrong.
    pub(super) fn from_pem(
        algorithm: Algorithm,
        public: &str,
        private: &str,
    ) -> Result<Self, &'static str> {
        const BAD_PUBLIC: &str = "\"key\" is not a public key that fits \"type\"";
        const BAD_PRIVATE: &str = "\"signing_key\" is not a private key that fits \"type\"";
        let public =
            public_der(public).ok_or("\"key\" is not a public key or certificate in PEM")?;
        let public =
            sig::ParsedPublicKey::new(verification(algorithm), public).map_err(|_| BAD_PUBLIC)?;
        let private = pem::parse(private)
            .ok()
            .filter(|pem| pem.tag().ends_with("PRIVATE KEY"))
            .ok_or("\"signing_key\" is not an unencrypted private key in PEM")?;
        let (tag, der) = (private.tag(), private.contents());
        let material = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Self::Rsa {
                pair: if tag == "RSA PRIVATE KEY" {
                    sig::RsaKeyPair::from_der(der)
                } else {
                    sig::RsaKeyPair::from_pkcs8(der)
                }
                .map_err(|_| BAD_PRIVATE)?,
                encoding: match algorithm {
                    Algorithm::RS256 => &sig::RSA_PKCS1_SHA256,
                    Algorithm::RS384 => &sig::RSA_PKCS1_SHA384,
                    _ => &sig::RSA_PKCS1_SHA512,
                },
                public,
            },
            Algorithm::EdDSA => Self::Ed25519 {
                pair: sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .map_err(|_| BAD_PRIVATE)?,
                public,
            },
            _ => Self::Ecdsa {
                pair: sig::EcdsaKeyPair::from_private_key_der(ecdsa(algorithm), der)
                    .map_err(|_| BAD_PRIVATE)?,
                public,
            },
        };
        let probe = b"do these two belong together?";
        let fits = material
            .sign(probe, |signature| material.verify(probe, signature))
            .map_err(|_| BAD_PRIVATE)?;
        if fits { Ok(material) } else { Err("\"key\" and \"signing_key\" do not belong together") }
    }

    /// A new key pair in PKCS#8; none for algorithms whose keys are not made here.
    pub(super) fn generate(algorithm: Algorithm) -> Option<Zeroizing<Vec<u8>>> {
        let pkcs8 = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                sig::EcdsaKeyPair::generate(ecdsa(algorithm)).ok()?.to_pkcs8v1().ok()?
            }
            Algorithm::EdDSA => sig::Ed25519KeyPair::generate().ok()?.to_pkcs8v1().ok()?,
            Algorithm::RS256 => {
                let pair = sig::RsaKeyPair::generate(KeySize::Rsa2048).ok()?;
                let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?;
                return Some(Zeroizing::new(pkcs8.as_ref().to_vec()));
            }
            _ => return None,
        };
        Some(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    /// A key pair from one half, which has the other one in it.
    pub(super) fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Option<Self> {
        let public = |key: &[u8]| sig::ParsedPublicKey::new(verification(algorithm), key).ok();
        Some(match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let pair = sig::EcdsaKeyPair::from_pkcs8(ecdsa(algorithm), pkcs8).ok()?;
                Self::Ecdsa { public: public(pair.public_key().as_ref())?, pair }
            }
            Algorithm::EdDSA => {
                let pair = sig::Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok()?;
                Self::Ed25519 { public: public(pair.public_key().as_ref())?, pair }
            }
            Algorithm::RS256 => {
                let pair = sig::RsaKeyPair::from_pkcs8(pkcs8).ok()?;
                let public = public(pair.public_key().as_ref())?;
                Self::Rsa { pair, encoding: &sig::RSA_PKCS1_SHA256, public }
            }
            _ => return None,
        })
    }

    /// Hands the signature to `use_it`, from the stack where the library puts it there.
    pub(super) fn sign<R>(
        &self,
        message: &[u8],
        use_it: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, SignError> {
        Ok(match self {
            Self::Hmac(key) => use_it(hmac::sign(key, message).as_ref()),
            Self::Rsa { pair, encoding, .. } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SignError)?;
                use_it(&signature)
            }
            Self::Ecdsa { pair, .. } => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SignError)?;
                use_it(signature.as_ref())
            }
            Self::Ed25519 { pair, .. } => {
                use_it(pair.try_sign(message).map_err(|_| SignError)?.as_ref())
            }
        })
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Rsa { public, .. }
            | Self::Ecdsa { public, .. }
            | Self::Ed25519 { public, .. } => public.verify_sig(message, signature).is_ok(),
        }
    }

    /// The public half as a JWK without `kid`; `None` for a shared secret.
    pub(super) fn public_jwk(&self, algorithm: Algorithm) -> Option<Jwk> {
        let parameters = match self {
            Self::Hmac(_) => return None,
            Self::Rsa { pair, .. } => {
                let public = pair.public_key();
                let encode = |number: io::Positive<'_>| {
                    URL_SAFE_NO_PAD.encode(number.big_endian_without_leading_zero())
                };
                AlgorithmParameters::RSA(RSAKeyParameters {
                    key_type: RSAKeyType::RSA,
                    n: encode(public.modulus()),
                    e: encode(public.exponent()),
                })
            }
            Self::Ecdsa { pair, .. } => {
                // An uncompressed point: a format byte, then both coordinates.
                let coordinates = &pair.public_key().as_ref()[1..];
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
                    key_type: EllipticCurveKeyType::EC,
                    curve: if algorithm == Algorithm::ES256 {
                        EllipticCurve::P256
                    } else {
                        EllipticCurve::P384
                    },
                    x: URL_SAFE_NO_PAD.encode(x),
                    y: URL_SAFE_NO_PAD.encode(y),
                })
            }
            Self::Ed25519 { pair, .. } => {
                AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
                    key_type: OctetKeyPairType::OctetKeyPair,
                    curve: EllipticCurve::Ed25519,
                    x: URL_SAFE_NO_PAD.encode(pair.public_key()),
                })
            }
        };
        Some(Jwk {
            common: CommonParameters {
                public_key_use: Some(PublicKeyUse::Signature),
                key_algorithm: Some(algorithm.into()),
                ..CommonParameters::default()
            },
            algorithm: parameters,
        })
    }
}

/// For ES256 and ES384.
fn ecdsa(algorithm: Algorithm) -> &'static sig::EcdsaSigningAlgorithm {
    if algorithm == Algorithm::ES256 {
        &sig::ECDSA_P256_SHA256_FIXED_SIGNING
    } else {
        &sig::ECDSA_P384_SHA384_FIXED_SIGNING
    }
}

/// For asymmetric algorithms; the key set asks for no others.
fn verification(algorithm: Algorithm) -> &'static dyn sig::VerificationAlgorithm {
    match algorithm {
        Algorithm::RS256 => &sig::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &sig::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &sig::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::ES256 => &sig::ECDSA_P256_SHA256_FIXED,
        Algorithm::ES384 => &sig::ECDSA_P384_SHA384_FIXED,
        _ => &sig::ED25519,
    }
}

/// SPKI or PKCS#1 as it is, or the SPKI inside a certificate.
fn public_der(text: &str) -> Option<Vec<u8>> {
    let parsed = pem::parse(text).ok()?;
    match parsed.tag() {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Some(parsed.into_contents()),
        "CERTIFICATE" => certified_key(parsed.contents()).map(<[u8]>::to_vec),
        _ => None,
    }
}

/// The `subjectPublicKeyInfo` of a certificate (RFC 5280, 4.1), which is not validated otherwise:
/// the operator configured it, and the private key must fit.
fn certified_key(certificate: &[u8]) -> Option<&[u8]> {
    const EXPLICIT_VERSION: u8 = 0xa0;
    let (certificate, _) = Tlv::read(certificate)?;
    let (to_be_signed, _) = Tlv::read(certificate.value)?;
    let mut rest = to_be_signed.value;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = Tlv::read(rest)?.1;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        rest = Tlv::read(rest)?.1;
    }
    Some(Tlv::read(rest)?.0.whole)
}

/// One element of DER.
struct Tlv<'a> {
    whole: &'a [u8],
    value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first element and what follows it.
    fn read(der: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let first = usize::from(*der.get(1)?);
        let (header, length) = if first < 0x80 {
            (2, first)
        } else {
            let digits = der.get(2..2 + (first & 0x7f)).filter(|digits| digits.len() <= 4)?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (2 + digits.len(), length)
        };
        let end = header.checked_add(length)?;
        let value = der.get(header..end)?;
        Some((Self { whole: &der[..end], value }, &der[end..]))
    }
}
