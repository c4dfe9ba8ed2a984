//! How many access tokens one core of this machine can sign, by algorithm.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use serde_json::json;

use crate::results::float;

/// Signatures of one algorithm on one core.
#[derive(Clone, Debug, Serialize)]
pub struct SigningSpeed {
    pub algorithm: String,
    /// Whole tokens made by `jsonwebtoken::encode`, which reads the key anew each time.
    pub jwt_us: f64,
    pub jwt_per_second: f64,
    /// The signature alone with a key that was read once; absent for HS256, where there is no gap.
    pub signature_us: Option<f64>,
}

/// Measures each algorithm for about `time`, on the calling thread.
pub fn measure(time: Duration, stop: &AtomicBool) -> anyhow::Result<Vec<SigningSpeed>> {
    let mut speeds = Vec::new();
    for (algorithm, key, raw) in keys()? {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let header = Header::new(algorithm);
        let claims = claims();
        encode(&header, &claims, &key).context("a fresh key cannot sign")?;
        let jwt_us = micros_of(time, stop, || {
            black_box(encode(&header, black_box(&claims), &key).is_ok());
        });
        // Header and payload of a token, as they are signed.
        let message = [0x41_u8; 700];
        let signature_us = raw.map(|sign| micros_of(time / 2, stop, || sign(black_box(&message))));
        speeds.push(SigningSpeed {
            algorithm: format!("{algorithm:?}"),
            jwt_us,
            jwt_per_second: if jwt_us > 0.0 { 1e6 / jwt_us } else { 0.0 },
            signature_us,
        });
    }
    Ok(speeds)
}

/// A bare signature of a message, with a key that was read once.
pub type RawSigner = Box<dyn Fn(&[u8])>;

/// A fresh key for each algorithm, for `jsonwebtoken` and for the bare signature.
pub fn keys() -> anyhow::Result<Vec<(Algorithm, EncodingKey, Option<RawSigner>)>> {
    let random = SystemRandom::new();

    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).context("an RSA key")?;
    let rsa_key = EncodingKey::from_rsa_pem(pem(rsa.as_der()?.as_ref()).as_bytes())?;
    let rsa_random = SystemRandom::new();
    let rsa_raw: RawSigner = Box::new(move |message| {
        let mut signature = [0; 256];
        black_box(rsa.sign(&RSA_PKCS1_SHA256, &rsa_random, message, &mut signature).is_ok());
    });

    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let p256_pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).context("an EC key")?;
    let p256 = EcdsaKeyPair::from_pkcs8(algorithm, p256_pkcs8.as_ref()).context("an EC key")?;
    let p256_random = SystemRandom::new();
    let p256_raw: RawSigner = Box::new(move |message| {
        black_box(p256.sign(&p256_random, message).is_ok());
    });

    let edwards_pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).context("an Ed25519 key")?;
    let edwards = Ed25519KeyPair::from_pkcs8(edwards_pkcs8.as_ref()).context("an Ed25519 key")?;
    let edwards_raw: RawSigner = Box::new(move |message| {
        black_box(edwards.sign(message));
    });

    Ok(vec![
        (Algorithm::HS256, EncodingKey::from_secret(&[0x5a; 64]), None),
        (Algorithm::RS256, rsa_key, Some(rsa_raw)),
        (Algorithm::ES256, EncodingKey::from_ec_der(p256_pkcs8.as_ref()), Some(p256_raw)),
        (Algorithm::EdDSA, EncodingKey::from_ed_der(edwards_pkcs8.as_ref()), Some(edwards_raw)),
    ])
}

/// A key in PKCS#8 as text, the form that `jsonwebtoken` unwraps for RSA.
fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

/// Claims of the size and shape of an access token.
pub fn claims() -> serde_json::Value {
    json!({
        "exp": 1_800_000_900, "iat": 1_800_000_000, "iss": "hasura-auth",
        "sub": "6a2b4a9e-6a3f-4d67-a7c7-3a0f6a2f2f10",
        "https://hasura.io/jwt/claims": {
            "x-hasura-allowed-roles": ["user", "me"],
            "x-hasura-default-role": "user",
            "x-hasura-user-id": "6a2b4a9e-6a3f-4d67-a7c7-3a0f6a2f2f10",
            "x-hasura-user-is-anonymous": "false",
        },
    })
}

/// Microseconds of one call, over about `time`.
fn micros_of(time: Duration, stop: &AtomicBool, mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u64;
    while (calls == 0 || start.elapsed() < time) && !stop.load(Ordering::Relaxed) {
        // The clock is read once for several calls: it costs as much as a short hash.
        for _ in 0..8 {
            call();
        }
        calls += 8;
    }
    if calls == 0 { 0.0 } else { start.elapsed().as_secs_f64() * 1e6 / float(calls) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_signs_and_takes_some_time() {
        let speeds = measure(Duration::from_millis(5), &AtomicBool::new(false)).unwrap();
        let names: Vec<&str> = speeds.iter().map(|speed| speed.algorithm.as_str()).collect();
        assert_eq!(names, ["HS256", "RS256", "ES256", "EdDSA"]);
        assert!(speeds.iter().all(|speed| speed.jwt_us > 0.0 && speed.jwt_per_second > 0.0));
        assert!(speeds[1..].iter().all(|speed| speed.signature_us.is_some_and(|us| us > 0.0)));
    }
}
