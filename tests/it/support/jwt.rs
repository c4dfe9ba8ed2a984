//! Access tokens as clients see them: read without trust, and made by hand.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywright::domain::clock::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::JWT_SECRET;

/// The text of the header or of the payload.
pub(crate) fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).expect("three parts");
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("UTF-8")
}

/// The header.
pub(crate) fn header(token: &str) -> Value {
    serde_json::from_str(&part(token, 0)).expect("JSON")
}

/// The claims.
pub(crate) fn payload(token: &str) -> Value {
    serde_json::from_str(&part(token, 1)).expect("JSON")
}

/// Claims of a token that the test server accepts.
pub(crate) fn claims(user_id: Uuid) -> Value {
    let now = Clock::system().now().unix_timestamp();
    json!({"sub": user_id, "iss": "hasura-auth", "iat": now, "exp": now + 900})
}

/// A token with these claims, signed with the secret of test servers.
pub(crate) fn sign(claims: &Value) -> String {
    sign_as("HS256", hmac::HMAC_SHA256, claims)
}

/// The same with another algorithm.
pub(crate) fn sign_as(name: &str, algorithm: hmac::Algorithm, claims: &Value) -> String {
    let secret: Value = serde_json::from_str(JWT_SECRET).expect("JSON");
    let secret = secret["key"].as_str().expect("a shared secret").to_owned();
    sign_with(name, &hmac::Key::new(algorithm, secret.as_bytes()), claims)
}

/// The same with another key.
pub(crate) fn sign_with(name: &str, key: &hmac::Key, claims: &Value) -> String {
    let message = unsigned(&json!({"alg": name, "typ": "JWT"}), claims);
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// Header and payload, without the last dot and the signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// Tokens that look good and are not, with what is wrong; each for this user.
pub(crate) fn refused_tokens(user_id: Uuid) -> Vec<(&'static str, String)> {
    let now = Clock::system().now().unix_timestamp();
    let good = claims(user_id);
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        let members = claims.as_object_mut().expect("an object");
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.to_owned(), value);
        }
        sign(&claims)
    };
    let other_key = hmac::Key::new(hmac::HMAC_SHA256, b"another secret of at least 32 bytes!");
    let signed = sign(&good);
    let none = unsigned(&json!({"alg": "none", "typ": "JWT"}), &good);
    vec![
        ("expired", changed("exp", json!(now - 1))),
        ("without an end", changed("exp", Value::Null)),
        ("of another issuer", changed("iss", json!("somebody-else"))),
        ("without an issuer", changed("iss", Value::Null)),
        ("issued in the future", changed("iat", json!(now + 600))),
        ("not valid yet", changed("nbf", json!(now + 600))),
        ("without a subject", changed("sub", Value::Null)),
        ("of no user id", changed("sub", json!("root"))),
        ("of another algorithm", sign_as("HS512", hmac::HMAC_SHA512, &good)),
        ("of another key", sign_with("HS256", &other_key, &good)),
        ("unsigned", format!("{none}.")),
        ("without a signature", signed.rsplit_once('.').expect("three parts").0.to_owned()),
        ("with a part too many", format!("{signed}.e30")),
        ("no token", "x".to_owned()),
    ]
}
