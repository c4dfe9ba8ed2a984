//! `GET /.well-known/jwks.json`: what others need to verify our tokens.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::jwt;

const RSA_PRIVATE: &str = include_str!("../../../src/tokens/testdata/rsa_pkcs8.pem");
const RSA_PUBLIC: &str = include_str!("../../../src/tokens/testdata/rsa_spki.pem");

/// The setting for a key pair of this type.
fn secret(algorithm: Algorithm, kid: Option<&str>) -> String {
    let generated = match algorithm {
        Algorithm::ES256 => Some(&PKCS_ECDSA_P256_SHA256),
        Algorithm::ES384 => Some(&PKCS_ECDSA_P384_SHA384),
        Algorithm::EdDSA => Some(&PKCS_ED25519),
        _ => None,
    }
    .map(|kind| KeyPair::generate_for(kind).unwrap());
    let (public, private) = generated.map_or_else(
        || (RSA_PUBLIC.to_owned(), RSA_PRIVATE.to_owned()),
        |pair| (pair.public_key_pem(), pair.serialize_pem()),
    );
    let mut secret =
        json!({"type": format!("{algorithm:?}"), "key": public, "signing_key": private});
    if let Some(kid) = kid {
        secret["kid"] = json!(kid);
    }
    secret.to_string()
}

/// What a resource server does: finds the key by `kid` and checks the token with it alone.
fn verify(token: &str, jwks: &str, algorithm: Algorithm) -> Value {
    let set: JwkSet = serde_json::from_str(jwks).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.alg, algorithm);
    let jwk = set.find(&header.kid.expect("the token names its key")).expect("it is published");
    let mut rules = Validation::new(algorithm);
    rules.set_issuer(&["hasura-auth"]);
    decode(token, &DecodingKey::from_jwk(jwk).unwrap(), &rules).unwrap().claims
}

#[tokio::test]
async fn tokens_of_every_key_pair_verify_against_the_published_key() {
    for (algorithm, kty) in [
        (Algorithm::RS256, "RSA"),
        (Algorithm::RS384, "RSA"),
        (Algorithm::RS512, "RSA"),
        (Algorithm::ES256, "EC"),
        (Algorithm::ES384, "EC"),
        (Algorithm::EdDSA, "OKP"),
    ] {
        let secret = secret(algorithm, None);
        let app = TestApp::start(&[("HASURA_GRAPHQL_JWT_SECRET", &secret)]).await;
        let session = app.sign_up("ann@example.com").await.session();
        let jwks = app.get("/.well-known/jwks.json").await;
        assert_eq!(jwks.header("content-type"), Some("application/json"));
        assert_eq!(jwks.header("cache-control"), Some("public, max-age=300"));
        let claims = verify(session.access_token(), &jwks.text, algorithm);
        assert_eq!(claims["sub"], session.user_id().to_string());

        let keys = jwks.json()["keys"].clone();
        assert_eq!(keys.as_array().unwrap().len(), 1);
        let key = &keys[0];
        assert_eq!((&key["kty"], &key["use"]), (&json!(kty), &json!("sig")));
        assert_eq!(key["alg"], format!("{algorithm:?}"));
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private} is nobody's business");
        }
        // What we sign, we accept.
        assert_eq!(app.get_as("/user", session.access_token()).await.status, 200);
        let token = session.access_token();
        app.post("/token/verify", json!({"token": token})).await.assert_ok();
    }
}

#[tokio::test]
async fn the_kid_stays_across_restarts_and_is_the_configured_one_if_there_is_one() {
    let own = secret(Algorithm::ES256, None);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let app = TestApp::start(&[("HASURA_GRAPHQL_JWT_SECRET", &own)]).await;
        let key = app.get("/.well-known/jwks.json").await.json()["keys"][0]["kid"].clone();
        let header = jwt::header(app.anonymous().await.access_token());
        assert_eq!(header["kid"], key);
        seen.push(key);
    }
    assert_eq!(seen[0], seen[1]);

    let named = secret(Algorithm::RS256, Some("the key of 2026"));
    let app = TestApp::start(&[("HASURA_GRAPHQL_JWT_SECRET", &named)]).await;
    let keys = app.get("/.well-known/jwks.json").await.json();
    assert_eq!(keys["keys"][0]["kid"], "the key of 2026");
    let header = jwt::header(app.anonymous().await.access_token());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "the key of 2026"}));
}

#[tokio::test]
async fn shared_secrets_are_not_published_and_sign_all_the_same() {
    for (name, algorithm) in
        [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
    {
        let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let secret = json!({"type": name, "key": key}).to_string();
        let app = TestApp::start(&[("HASURA_GRAPHQL_JWT_SECRET", &secret)]).await;
        let jwks = app.get("/.well-known/jwks.json").await;
        assert_eq!(jwks.json(), json!({"keys": []}), "an empty list, not null");
        let token = app.anonymous().await.access_token().to_owned();
        assert_eq!(jwt::header(&token), json!({"alg": name, "typ": "JWT"}), "no kid unless set");
        let mut rules = Validation::new(algorithm);
        rules.set_issuer(&["hasura-auth"]);
        // The text's bytes are the key; they are never decoded.
        decode::<Value>(&token, &DecodingKey::from_secret(key.as_bytes()), &rules).unwrap();
    }
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let secret = secret(Algorithm::RS256, None);
    let app = TestApp::start(&[("HASURA_GRAPHQL_JWT_SECRET", &secret)]).await;
    let user = app.sign_up("ann@example.com").await.session().user_id();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, RSA_PUBLIC.as_bytes());
    for name in ["HS256", "RS256"] {
        let forged = jwt::sign_with(name, &key, &jwt::claims(user));
        app.get_as("/user", &forged).await.assert_refused(400, "invalid-request");
    }
}
