//! Every key type, against an independent implementation; and every way a token can be wrong.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::*;
use crate::domain::ids::{SessionId, UserId};
use crate::tokens::access_token::TokenSubject;
use crate::tokens::verify::{TokenError, VerifiedToken};

const SECRET: &str = "a shared secret of at least 32 bytes";
const RSA_SPKI: &str = include_str!("../testdata/rsa_spki.pem");
const RSA_PKCS8: &str = include_str!("../testdata/rsa_pkcs8.pem");
const EC256_SPKI: &str = include_str!("../testdata/ec256_spki.pem");
const EC256_PKCS8: &str = include_str!("../testdata/ec256_pkcs8.pem");
const EC384_SPKI: &str = include_str!("../testdata/ec384_spki.pem");
const EC384_PKCS8: &str = include_str!("../testdata/ec384_pkcs8.pem");
/// The key of RFC 8037, appendix A, whose thumbprint is published there.
const ED_SPKI: &str = include_str!("../testdata/ed25519_spki.pem");
const ED_PKCS8: &str = include_str!("../testdata/ed25519_pkcs8.pem");
const ED_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

const NOW: i64 = 1_795_463_263;
const SESSION: SessionId = SessionId(Uuid::from_u128(7));
const USER: Uuid = Uuid::from_u128(0xb00f_4b2d_0000_4000_8000_0000_0000_0001);

fn load(secret: &Value) -> Result<KeySet, KeyError> {
    KeySet::from_secret(&SecretString::from(secret.to_string()))
}

fn pair(algorithm: &str, public: &str, private: &str) -> Result<KeySet, KeyError> {
    load(&json!({"type": algorithm, "key": public, "signing_key": private}))
}

fn shared(algorithm: &str) -> KeySet {
    load(&json!({"type": algorithm, "key": SECRET})).unwrap()
}

fn pairs() -> Vec<(&'static str, KeySet)> {
    [
        ("RS256", RSA_SPKI, RSA_PKCS8),
        ("RS384", RSA_SPKI, RSA_PKCS8),
        ("RS512", RSA_SPKI, RSA_PKCS8),
        ("ES256", EC256_SPKI, EC256_PKCS8),
        ("ES384", EC384_SPKI, EC384_PKCS8),
        ("EdDSA", ED_SPKI, ED_PKCS8),
    ]
    .map(|(algorithm, public, private)| (algorithm, pair(algorithm, public, private).unwrap()))
    .into()
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

fn claims(is_elevated: bool) -> UserClaims {
    UserClaims::new(&TokenSubject {
        user_id: UserId(USER),
        roles: &["me".to_owned(), "user".to_owned()],
        default_role: "user",
        is_anonymous: true,
        is_elevated,
        custom: &[],
    })
}

fn issue(keys: &KeySet) -> String {
    keys.sign(&claims(false), SESSION, at(NOW), Duration::from_mins(15)).unwrap()
}

/// A token of our own key with any payload.
fn with_payload(keys: &KeySet, payload: &Value) -> String {
    keys.signing_key().sign(payload.to_string().as_bytes()).unwrap()
}

/// A token of the shared secret with any header.
fn with_header(header: &str) -> String {
    let mut key = Key::new("HS256", SECRET, None, None).unwrap();
    key.header = URL_SAFE_NO_PAD.encode(header).into();
    let payload = json!({"iss": DEFAULT_ISSUER, "exp": NOW + 900, "sub": USER});
    key.sign(payload.to_string().as_bytes()).unwrap()
}

fn header_of(token: &str) -> Value {
    let header = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

fn lenient(algorithm: &str) -> Validation {
    let mut validation = Validation::new(algorithm.parse().unwrap());
    validation.validate_exp = false;
    validation
}

#[test]
fn tokens_of_a_shared_secret_are_read_by_others_and_by_us() {
    for algorithm in ["HS256", "HS384", "HS512"] {
        let keys = shared(algorithm);
        let token = issue(&keys);
        let key = DecodingKey::from_secret(SECRET.as_bytes());
        let read = jsonwebtoken::decode::<Value>(&token, &key, &lenient(algorithm)).unwrap().claims;
        assert_eq!(read["sub"], USER.to_string());
        assert_eq!(read["exp"], NOW + 900);
        assert_eq!(header_of(&token), json!({"alg": algorithm, "typ": "JWT"}));
        assert_eq!(keys.jwks_json(at(NOW)), r#"{"keys":[]}"#);
        assert_eq!(keys.verify(&token, at(NOW)).unwrap().user_id, Some(UserId(USER)));
    }
}

#[test]
fn tokens_of_a_key_pair_are_read_by_others_through_the_published_set() {
    for (algorithm, keys) in pairs() {
        let token = issue(&keys);
        let published: JwkSet = serde_json::from_str(&keys.jwks_json(at(NOW))).unwrap();
        let kid = header_of(&token)["kid"].as_str().unwrap().to_owned();
        assert_eq!(keys.kid(), Some(kid.as_str()));
        let jwk = published.find(&kid).unwrap();
        let key = DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(&token, &key, &lenient(algorithm)).unwrap().claims;
        assert_eq!(read["iss"], DEFAULT_ISSUER);
        assert_eq!(keys.verify(&token, at(NOW)).unwrap().user_id, Some(UserId(USER)));
        let raw: Value = serde_json::from_str(&keys.jwks_json(at(NOW))).unwrap();
        assert_eq!(raw["keys"][0]["use"], "sig");
        assert_eq!(raw["keys"][0]["alg"], algorithm);
        assert!(raw["keys"][0].get("d").is_none());
    }
}

#[test]
fn the_key_id_is_configured_or_the_thumbprint() {
    assert_eq!(pair("EdDSA", ED_SPKI, ED_PKCS8).unwrap().kid(), Some(ED_THUMBPRINT));
    let named = load(&json!({
        "type": "EdDSA", "key": ED_SPKI, "signing_key": ED_PKCS8, "kid": "mine",
    }))
    .unwrap();
    assert_eq!(header_of(&issue(&named))["kid"], "mine");
    assert!(named.jwks_json(at(NOW)).contains(r#""kid":"mine""#), "{}", named.jwks_json(at(NOW)));
    let shared = load(&json!({"type": "HS256", "key": SECRET, "kid": "mine"})).unwrap();
    assert_eq!(header_of(&issue(&shared))["kid"], "mine");
}

#[test]
fn keys_may_come_in_every_usual_encoding() {
    let rsa_pkcs1 = include_str!("../testdata/rsa_pkcs1.pem");
    let ec_sec1 = include_str!("../testdata/ec256_sec1.pem");
    let expected = pair("RS256", RSA_SPKI, RSA_PKCS8).unwrap().kid().unwrap().to_owned();
    for public in [
        RSA_SPKI,
        include_str!("../testdata/rsa_public_pkcs1.pem"),
        include_str!("../testdata/rsa_certificate.pem"),
    ] {
        for private in [RSA_PKCS8, rsa_pkcs1] {
            let keys = pair("RS256", public, private).unwrap();
            assert_eq!(keys.kid(), Some(expected.as_str()));
            assert!(keys.verify(&issue(&keys), at(NOW)).is_ok());
        }
    }
    for public in [EC256_SPKI, include_str!("../testdata/ec256_certificate.pem")] {
        for private in [EC256_PKCS8, ec_sec1] {
            assert!(pair("ES256", public, private).is_ok());
        }
    }
}

#[test]
fn a_secret_that_cannot_be_used_is_refused_by_name_and_never_quoted() {
    let other_rsa = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    for (secret, reason) in [
        (json!({"type": "HS256", "key": "short secret"}), "shorter than 32"),
        (json!({"type": "HS256"}), "\"key\" is missing"),
        (json!({"key": SECRET}), "\"type\" must be"),
        (json!({"type": "hs256", "key": SECRET}), "\"type\" must be"),
        (json!({"type": "PS256", "key": RSA_SPKI, "signing_key": RSA_PKCS8}), "\"type\" must be"),
        (json!({"type": "RS256", "key": RSA_SPKI}), "\"signing_key\" is missing"),
        (json!({"type": "RS256", "key": "text", "signing_key": RSA_PKCS8}), "\"key\" is not"),
        (json!({"type": "RS256", "key": other_rsa, "signing_key": RSA_PKCS8}), "\"key\" is not"),
        (json!({"type": "RS256", "key": RSA_SPKI, "signing_key": RSA_SPKI}), "\"signing_key\""),
        (json!({"type": "RS256", "key": RSA_SPKI, "signing_key": ED_PKCS8}), "\"signing_key\""),
        (json!({"type": "ES384", "key": EC256_SPKI, "signing_key": EC256_PKCS8}), "is not"),
        (json!({"type": "HS256", "key": SECRET, "claims_namespace": "sub"}), "claims_namespace"),
        (json!({"type": "HS256", "key": 12_345_678}), "JSON object"),
        (json!("12345678 and more of a secret"), "JSON object"),
    ] {
        let error = load(&secret).unwrap_err().to_string();
        assert!(error.starts_with("HASURA_GRAPHQL_JWT_SECRET: "), "{error}");
        assert!(error.contains(reason), "{error} should contain {reason}");
        assert!(!error.contains("12345678") && !error.contains("short secret"), "{error}");
    }
}

#[test]
fn halves_that_do_not_belong_together_are_refused() {
    let stranger = strange_public_key();
    let error = pair("EdDSA", &stranger, ED_PKCS8).unwrap_err().to_string();
    assert!(error.contains("do not belong together"), "{error}");
}

/// The public half of a fresh Ed25519 key.
fn strange_public_key() -> String {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()))
}

#[test]
fn issuer_and_namespace_come_from_the_secret() {
    let keys = load(&json!({
        "type": "HS256", "key": SECRET, "issuer": "me", "claims_namespace": "ns",
    }))
    .unwrap();
    let verified = keys.verify(&issue(&keys), at(NOW)).unwrap();
    assert_eq!(verified.claims_user_id, Some(UserId(USER)));
    assert_eq!(shared("HS256").verify(&issue(&keys), at(NOW)), Err(TokenError::WrongIssuer));
}

#[test]
fn what_a_token_says_is_read() {
    let keys = shared("HS256");
    let plain = keys.verify(&issue(&keys), at(NOW)).unwrap();
    assert_eq!(
        plain,
        VerifiedToken {
            user_id: Some(UserId(USER)),
            session_id: Some(SESSION),
            claims_user_id: Some(UserId(USER)),
            issued_at: Some(NOW),
            is_elevated: false,
            is_anonymous: true,
        }
    );
    let elevated = keys.sign(&claims(true), SESSION, at(NOW), Duration::from_mins(15)).unwrap();
    assert!(keys.verify(&elevated, at(NOW)).unwrap().is_elevated);
}

#[test]
fn a_token_without_usable_identity_is_still_genuine() {
    let keys = shared("HS256");
    let mut payload = json!({"iss": DEFAULT_ISSUER, "exp": NOW + 900, "sub": "not a uuid"});
    let verified = keys.verify(&with_payload(&keys, &payload), at(NOW)).unwrap();
    assert_eq!((verified.user_id, verified.is_elevated), (None, false));
    payload["sub"] = json!(USER);
    payload[DEFAULT_CLAIMS_NAMESPACE] = json!("text");
    let verified = keys.verify(&with_payload(&keys, &payload), at(NOW)).unwrap();
    assert_eq!((verified.user_id, verified.claims_user_id), (Some(UserId(USER)), None));
}

#[test]
fn a_token_may_be_from_a_clock_that_is_a_little_ahead_and_ends_on_time() {
    let keys = shared("HS256");
    let token = issue(&keys);
    assert!(keys.verify(&token, at(NOW + 899)).is_ok());
    assert_eq!(keys.verify(&token, at(NOW + 900)), Err(TokenError::Expired));
    assert!(keys.verify(&token, at(NOW - 5)).is_ok());
    assert_eq!(keys.verify(&token, at(NOW - 6)), Err(TokenError::IssuedInFuture));
    let later = json!({"iss": DEFAULT_ISSUER, "exp": NOW + 900, "nbf": NOW + 6});
    let later = with_payload(&keys, &later);
    assert_eq!(keys.verify(&later, at(NOW)), Err(TokenError::NotYetValid));
    assert!(keys.verify(&later, at(NOW + 1)).is_ok());
}

#[test]
fn expiry_and_issuer_are_required() {
    let keys = shared("HS256");
    for (payload, error) in [
        (json!({"iss": DEFAULT_ISSUER}), TokenError::MissingExpiry),
        (json!({"iss": DEFAULT_ISSUER, "exp": null}), TokenError::MissingExpiry),
        (json!({"iss": DEFAULT_ISSUER, "exp": "soon"}), TokenError::Malformed),
        (json!({"exp": NOW + 1}), TokenError::MissingIssuer),
        (json!({"exp": NOW + 1, "iss": "other"}), TokenError::WrongIssuer),
        (json!([1]), TokenError::Malformed),
    ] {
        let token = with_payload(&keys, &payload);
        assert_eq!(keys.verify(&token, at(NOW)), Err(error), "{payload}");
    }
}

#[test]
fn the_algorithm_is_pinned() {
    let keys = shared("HS256");
    let other = issue(&shared("HS512"));
    assert_eq!(keys.verify(&other, at(NOW)), Err(TokenError::WrongAlgorithm));
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"hs256"}"#, r#"{"alg":"RS256"}"#] {
        let token = with_header(header);
        assert_eq!(keys.verify(&token, at(NOW)), Err(TokenError::WrongAlgorithm), "{header}");
    }
    assert!(keys.verify(&with_header(r#"{"typ":"JWT","alg":"HS256"}"#), at(NOW)).is_ok());
    let extended = with_header(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#);
    assert_eq!(keys.verify(&extended, at(NOW)), Err(TokenError::Malformed));
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let keys = pair("RS256", RSA_SPKI, RSA_PKCS8).unwrap();
    let forged = issue(&load(&json!({"type": "HS256", "key": RSA_SPKI})).unwrap());
    assert_eq!(keys.verify(&forged, at(NOW)), Err(TokenError::WrongAlgorithm));
}

#[test]
fn a_changed_token_is_refused() {
    let keys = shared("HS256");
    let token = issue(&keys);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let payload = URL_SAFE_NO_PAD
        .encode(json!({"iss": DEFAULT_ISSUER, "exp": NOW + 900, "sub": Uuid::nil()}).to_string());
    let forged = format!("{header}.{payload}.{signature}");
    assert_eq!(keys.verify(&forged, at(NOW)), Err(TokenError::BadSignature));
    let cut = &token[..token.len() - 2];
    assert!(keys.verify(cut, at(NOW)).is_err());
    for text in ["", "a", "a.b", "..", "a.b.c", "a.b.c.d", "é.é.é", &format!("{token}.x")] {
        assert!(keys.verify(text, at(NOW)).is_err(), "{text}");
    }
}

#[test]
fn every_key_of_a_set_verifies_and_the_first_one_signs() {
    let key = |kid: Option<&str>, secret: &str| {
        Key::new("HS256", secret, None, kid.map(str::to_owned)).unwrap()
    };
    let old_secret = "another secret of at least 32 bytes!";
    let terms = Arc::new(Terms::new(DEFAULT_ISSUER, DEFAULT_CLAIMS_NAMESPACE).unwrap());
    let accepted = |key| Accepted { key: Arc::new(key), terms: Arc::clone(&terms), until: None };
    let set = |keys: Vec<Key>| KeySet::of(keys.into_iter().map(accepted).collect());
    let both = set(vec![key(Some("new"), SECRET), key(Some("old"), old_secret)]);
    assert_eq!(both.kid(), Some("new"));
    for kid in [Some("old"), Some("unknown"), None] {
        let old = set(vec![key(kid, old_secret)]);
        assert!(both.verify(&issue(&old), at(NOW)).is_ok(), "{kid:?}");
    }
    let misnamed = set(vec![key(Some("new"), old_secret)]);
    assert_eq!(both.verify(&issue(&misnamed), at(NOW)), Err(TokenError::BadSignature));
}

#[test]
fn debug_output_hides_the_keys() {
    let shown = format!("{:?}", shared("HS256"));
    assert!(shown.contains("HS256") && !shown.contains("shared secret"), "{shown}");
}
