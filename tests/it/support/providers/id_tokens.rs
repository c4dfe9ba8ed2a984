//! The keys of providers, and id tokens right and wrong.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::Pem;
use serde_json::{Value, json};

use crate::support::jwt::unsigned;

/// How many RSA keys there are to rotate through.
const RSA_KEYS: usize = 3;

/// One RSA key of a provider.
struct RsaKey {
    pair: RsaKeyPair,
    /// As a certificate authority would write it: the "secret" of the confusion with HS256.
    public_pem: String,
}

/// All keys; made once a process, for that takes time.
pub(crate) struct Keys {
    rsa: Vec<RsaKey>,
    ec: EcdsaKeyPair,
    /// The half of Apple's key that its customers hold, and the other.
    apple_pkcs8: Vec<u8>,
    apple_public: Vec<u8>,
}

impl Keys {
    pub(crate) fn shared() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Self::generate)
    }

    fn generate() -> Self {
        let rsa = (0..RSA_KEYS).map(|_| {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
            let public_pem = pem::encode(&Pem::new("PUBLIC KEY", der.as_ref()));
            RsaKey { pair, public_pem }
        });
        let apple = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            rsa: rsa.collect(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            apple_pkcs8: apple.to_pkcs8v1().unwrap().as_ref().to_vec(),
            apple_public: apple.public_key().as_ref().to_vec(),
        }
    }

    /// What Apple gives its customers to sign client secrets with.
    pub(crate) fn apple_pem(&self) -> String {
        pem::encode(&Pem::new("PRIVATE KEY", self.apple_pkcs8.clone()))
    }

    /// Whether this is a signature of Apple's customer, by ES256.
    pub(super) fn is_of_apples_customer(&self, message: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.apple_public)
            .verify(message.as_bytes(), signature)
            .is_ok()
    }

    /// A public key as a key set shows it.
    fn jwk(&self, index: usize) -> Value {
        let public = self.rsa[index].pair.public_key();
        let (modulus, exponent) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid(index),
            "n": encode(modulus.big_endian_without_leading_zero()),
            "e": encode(exponent.big_endian_without_leading_zero()),
        })
    }

    fn ec_jwk(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": EC_KID,
            "x": encode(x), "y": encode(y),
        })
    }

    /// Signed as it should be, under any header.
    pub(crate) fn rs256(&self, index: usize, header: &Value, claims: &Value) -> String {
        let pair = &self.rsa[index].pair;
        let message = unsigned(header, claims);
        let mut bytes = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut bytes).unwrap();
        format!("{message}.{}", encode(&bytes))
    }

    /// Signed with the elliptic key, which key sets show too.
    pub(crate) fn es256(&self, claims: &Value) -> String {
        let message = unsigned(&json!({"alg": "ES256", "typ": "JWT", "kid": EC_KID}), claims);
        let bytes = self.ec.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", encode(bytes.as_ref()))
    }

    /// The public key, which everybody knows, taken for a shared secret.
    pub(crate) fn hs256_confusion(&self, index: usize, claims: &Value) -> String {
        let message = unsigned(&json!({"alg": "HS256", "typ": "JWT", "kid": kid(index)}), claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.rsa[index].public_pem.as_bytes());
        format!("{message}.{}", encode(hmac::sign(&key, message.as_bytes()).as_ref()))
    }
}

const EC_KID: &str = "elliptic";

/// The name of a key.
pub(crate) fn kid(index: usize) -> String {
    format!("key-{index}")
}

/// The header of a right id token.
pub(crate) fn header(index: usize) -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": kid(index)})
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Which keys a provider has at present.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    /// Signs.
    pub(super) index: usize,
    /// Whose name it has.
    name: usize,
}

impl KeySet {
    /// The key set as it is published.
    pub(super) fn published(&self) -> Value {
        let keys = Keys::shared();
        let mut key = keys.jwk(self.index);
        key["kid"] = json!(kid(self.name));
        json!({"keys": [keys.ec_jwk(), key]})
    }

    pub(super) fn rotate(&mut self) {
        self.replace();
        self.name = self.index;
    }

    pub(super) fn replace(&mut self) {
        self.index = (self.index + 1) % RSA_KEYS;
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        Keys::shared().rs256(self.index, &header(self.name), claims)
    }
}

#[test]
fn signatures_are_what_they_claim_to_be() {
    let keys = Keys::shared();
    let token = keys.rs256(1, &header(1), &json!({"sub": "1"}));
    let (message, bytes) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(bytes).unwrap();
    let jwk = keys.jwk(1);
    let decode = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let public = aws_lc_rs::rsa::PublicKeyComponents { n: decode("n"), e: decode("e") };
    let check =
        |message: &str| public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &bytes);
    check(message).unwrap();
    check("another").unwrap_err();

    let token = keys.es256(&json!({"sub": "1"}));
    let (message, bytes) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(bytes).unwrap();
    let jwk = keys.ec_jwk();
    let mut point = vec![4];
    for name in ["x", "y"] {
        point.extend(URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap());
    }
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(message.as_bytes(), &bytes).unwrap();
}
