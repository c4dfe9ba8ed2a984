//! Access and refresh tokens.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroize;

use crate::config::reading::Reader;
use crate::config::rows;
use crate::settings::place;

/// Access and refresh tokens.
#[derive(Clone, Debug)]
pub struct TokensConfig {
    /// `HASURA_GRAPHQL_JWT_SECRET`, the JSON text as configured.
    pub jwt_secret: SecretString,
    /// `AUTH_JWT_KEY_PUBLISH_AHEAD` (ours).
    pub key_publish_ahead: Duration,
    /// `AUTH_JWT_KEY_ROTATION` (ours); none: by hand.
    pub key_rotation: Option<Duration>,
    /// `AUTH_ACCESS_TOKEN_EXPIRES_IN`, seconds.
    pub access_token_lifetime: Duration,
    /// `AUTH_REFRESH_TOKEN_EXPIRES_IN`, seconds.
    pub refresh_token_lifetime: Duration,
    /// `AUTH_REFRESH_TOKEN_GRACE` (ours), whole seconds, default 30, 0 is off.
    pub refresh_grace: Duration,
    /// `AUTH_REFRESH_TOKEN_KEY` (ours): key material of the chain; unset: kept in the database.
    pub refresh_key: Option<SecretString>,
}

/// RFC 7518, section 3.2, asks for as many bytes as the hash has; HS256 has 32.
const LEAST_HMAC_KEY: usize = 32;
/// Past the largest number of seconds that clients may keep in 32 bits nothing is gained.
const LONGEST_LIFETIME: u64 = i32::MAX as u64;

impl TokensConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>) -> Self {
        let refresh_key = reader.optional_secret(&rows::tokens::REFRESH_TOKEN_KEY);
        if refresh_key.as_ref().is_some_and(|key| key.expose_secret().len() < 32) {
            reader.refuse(
                &rows::tokens::REFRESH_TOKEN_KEY,
                "the key material needs at least 32 bytes",
            );
        }
        let key_publish_ahead = reader.duration(&rows::tokens::JWT_KEY_PUBLISH_AHEAD, true);
        let rotation = reader.duration(&rows::tokens::JWT_KEY_ROTATION, true);
        if !rotation.is_zero() && rotation <= key_publish_ahead {
            reader.refuse(
                &rows::tokens::JWT_KEY_ROTATION,
                "it must be longer than AUTH_JWT_KEY_PUBLISH_AHEAD, or 0",
            );
        }
        Self {
            jwt_secret: read_jwt_secret(reader),
            key_publish_ahead,
            key_rotation: (!rotation.is_zero()).then_some(rotation),
            access_token_lifetime: reader
                .seconds(&rows::tokens::ACCESS_TOKEN_EXPIRES_IN, 1..=LONGEST_LIFETIME),
            refresh_token_lifetime: reader
                .seconds(&rows::tokens::REFRESH_TOKEN_EXPIRES_IN, 1..=LONGEST_LIFETIME),
            // A longer window would let a stolen token be used beside the one that replaced it for
            // that long.
            refresh_grace: reader.seconds(&rows::tokens::REFRESH_TOKEN_GRACE, 0..=3_600),
            refresh_key,
        }
    }
}

/// The members that decide whether the start goes on; others are read where the keys are made.
#[derive(Deserialize)]
struct JwtSecret {
    #[serde(default, rename = "type", deserialize_with = "null_is_empty")]
    algorithm: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    key: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    signing_key: String,
}

/// The reference treats null as absent.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Drop for JwtSecret {
    fn drop(&mut self) {
        self.key.zeroize();
        self.signing_key.zeroize();
    }
}

fn read_jwt_secret(reader: &mut Reader<'_>) -> SecretString {
    let errors = reader.errors.len();
    let text = reader.json(&rows::tokens::HASURA_GRAPHQL_JWT_SECRET);
    // Wrong syntax has been reported already.
    if reader.errors.len() == errors {
        check_jwt_secret(reader, &text);
    }
    SecretString::from(text)
}

fn check_jwt_secret(reader: &mut Reader<'_>, text: &str) {
    if text.is_empty() {
        reader.refuse(
            &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
            r#"required; set it to {"type":"HS256","key":"<at least 32 random characters>"} or to an asymmetric key"#,
        );
        return;
    }
    let secret: JwtSecret = match serde_json::from_str(text) {
        Ok(secret) => secret,
        Err(error) => {
            let reason = place(&error);
            reader.refuse(
                &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
                format!("expected a JSON object of strings: {reason}"),
            );
            return;
        }
    };
    match secret.algorithm.as_str() {
        "HS256" => check_hmac_key(reader, &secret, 32),
        "HS384" => check_hmac_key(reader, &secret, 48),
        "HS512" => check_hmac_key(reader, &secret, 64),
        "RS256" | "RS384" | "RS512" | "ES256" | "ES384" | "EdDSA" => {
            for (name, value) in [("key", &secret.key), ("signing_key", &secret.signing_key)] {
                if value.is_empty() {
                    let algorithm = &secret.algorithm;
                    reader.refuse(
                        &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
                        format!("type {algorithm} needs \"{name}\", in PEM"),
                    );
                }
            }
        }
        // The name of an algorithm is no secret, and without it the message helps nobody; but
        // whatever stands there by mistake could be one.
        _ => reader.refuse(
            &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
            "unsupported \"type\"; allowed values are HS256, HS384, HS512, RS256, RS384, RS512, \
             ES256, ES384, EdDSA",
        ),
    }
}

/// 32 bytes are enough for every algorithm: deployments of the reference, which accepts any length,
/// use such keys with HS384 and HS512 too, and would otherwise lose all sessions by changing over.
fn check_hmac_key(reader: &mut Reader<'_>, secret: &JwtSecret, wanted: usize) {
    let (length, algorithm) = (secret.key.len(), &secret.algorithm);
    if length < LEAST_HMAC_KEY {
        reader.refuse(
            &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
            format!("the \"key\" of type {algorithm} has {length} bytes, at least 32 are needed"),
        );
    } else if length < wanted {
        reader.warn(
            &rows::tokens::HASURA_GRAPHQL_JWT_SECRET,
            format!("the \"key\" has {length} bytes; {wanted} are recommended for {algorithm}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reading::Sources;
    use crate::config::rows::tokens::{
        HASURA_GRAPHQL_JWT_SECRET, JWT_KEY_PUBLISH_AHEAD, JWT_KEY_ROTATION,
    };

    fn check(secret: &str) -> (Vec<String>, usize) {
        let sources = Sources::from_env([(HASURA_GRAPHQL_JWT_SECRET.variable, secret)]);
        let mut reader = Reader::new(&sources);
        TokensConfig::read(&mut reader);
        (reader.errors.iter().map(ToString::to_string).collect(), reader.notices.len())
    }

    #[test]
    fn a_jwt_secret_of_every_supported_type_is_accepted() {
        let key = "k".repeat(64);
        for algorithm in ["HS256", "HS384", "HS512"] {
            let secret = format!(r#"{{"type":"{algorithm}","key":"{key}"}}"#);
            assert_eq!(check(&secret), (vec![], 0), "{algorithm}");
        }
        for algorithm in ["RS256", "RS384", "RS512", "ES256", "ES384", "EdDSA"] {
            let secret = format!(
                r#"{{"type":"{algorithm}","key":"k","signing_key":"s","kid":null,"jwk_url":1,"audience":["x"]}}"#
            );
            assert_eq!(check(&secret), (vec![], 0), "{algorithm}");
        }
    }

    #[test]
    fn a_bad_jwt_secret_is_refused_by_name_and_never_quoted() {
        let short = format!(r#"{{"type":"HS256","key":"{}"}}"#, "k".repeat(31));
        for secret in [
            "",
            "sesame",
            r#"{"type":"HS256","key":"sesame""#,
            r#"["sesame"]"#,
            r#"{"key":"sesame-sesame-sesame-sesame-sesame"}"#,
            r#"{"type":"HS256"}"#,
            r#"{"type":"HS256","key":5}"#,
            r#"{"type":"sesame","key":"x"}"#,
            r#"{"type":"hs256","key":"sesame"}"#,
            r#"{"type":"PS256","key":"sesame","signing_key":"x"}"#,
            r#"{"type":"RS256","key":"sesame"}"#,
            r#"{"type":"ES256","signing_key":"sesame"}"#,
            &short,
        ] {
            let (errors, _) = check(secret);
            assert_eq!(errors.len(), 1, "{secret}: {errors:?}");
            assert!(errors[0].contains(HASURA_GRAPHQL_JWT_SECRET.variable), "{}", errors[0]);
            assert!(!errors[0].contains("sesame"), "{}", errors[0]);
        }
    }

    #[test]
    fn keys_sign_for_longer_than_they_are_published_ahead() {
        let read = |rotation: &str, ahead: &str| {
            let sources = Sources::from_env([
                (JWT_KEY_ROTATION.variable, rotation),
                (JWT_KEY_PUBLISH_AHEAD.variable, ahead),
            ]);
            let mut reader = Reader::new(&sources);
            let config = TokensConfig::read(&mut reader);
            let refused = reader.errors.iter().any(|error| error.variable.contains("ROTATION"));
            (config.key_rotation, refused)
        };
        assert_eq!(read("0s", "1h"), (None, false));
        assert_eq!(read("2h", "1h"), (Some(Duration::from_hours(2)), false));
        assert!(read("1h", "1h").1 && read("1m", "1h").1);
    }

    #[test]
    fn a_key_shorter_than_its_hash_is_a_warning_from_32_bytes_on() {
        let secret = format!(r#"{{"type":"HS512","key":"{}"}}"#, "k".repeat(32));
        assert_eq!(check(&secret), (vec![], 1));
    }
}
