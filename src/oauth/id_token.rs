//! Id tokens: what an issuer signed about somebody (`OpenID` Connect Core 3.1.3.7).
//!
//! On jsonwebtoken rather than openidconnect: one crypto stack, times by our own clock, `nbf`, and
//! claims of the wrong type count as absent instead of spoiling the token, as clients know it.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use time::OffsetDateTime;

use super::configured::IdTokenRules;
use super::jwks::IssuerKeys;
use crate::clients::{ClientError, HttpClients};
use crate::domain::random_secret::hex;

/// Clocks of issuers may be so many seconds off.
const LEEWAY: f64 = 30.0;

/// Longest token that is looked at.
const MAX_LENGTH: usize = 16 * 1024;

/// Why an id token is not accepted; for the log, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    #[error("not a token")]
    Malformed,
    #[error("the issuer does not sign with this algorithm")]
    WrongAlgorithm,
    #[error("an extension that is not understood has to be")]
    UnknownExtension,
    #[error("the issuer has no such key")]
    UnknownKey,
    #[error("the signature is not valid")]
    BadSignature,
    #[error("another issuer")]
    WrongIssuer,
    #[error("for somebody else")]
    WrongAudience,
    #[error("expired, or without an expiry")]
    Expired,
    #[error("not valid yet")]
    NotYetValid,
    #[error("the nonce is another one")]
    WrongNonce,
    #[error("a required claim is missing")]
    MissingClaim,
    #[error("the keys of the issuer cannot be had")]
    Keys(#[source] std::sync::Arc<ClientError>),
}

/// What the nonce in the token must be.
#[derive(Clone, Copy, Debug)]
pub enum ExpectedNonce<'a> {
    /// This one.
    Exactly(&'a str),
    /// If the token has one, or this is given: the SHA-256 of it in lower-case hexadecimal, as
    /// applications send it (docs/reference-behaviour.md#nonces-must-match).
    HashOf(Option<&'a str>),
}

/// Looks up keys, and verifies tokens by them.
#[derive(Clone, Copy)]
pub struct IdTokenVerifier<'a> {
    pub keys: &'a IssuerKeys,
    pub clients: &'a HttpClients,
    pub timeout: std::time::Duration,
    pub now: OffsetDateTime,
}

impl IdTokenVerifier<'_> {
    /// The claims of a token that fits the rules; `sub` is among them.
    pub async fn verify(
        &self,
        token: &SecretString,
        rules: &IdTokenRules,
        nonce: ExpectedNonce<'_>,
    ) -> Result<Value, IdTokenError> {
        let token = token.expose_secret();
        if token.len() > MAX_LENGTH {
            return Err(IdTokenError::Malformed);
        }
        let header = decode_header(token).map_err(|_| IdTokenError::Malformed)?;
        if !rules.algorithms.contains(&header.alg) {
            return Err(IdTokenError::WrongAlgorithm);
        }
        // None is understood here (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(IdTokenError::UnknownExtension);
        }
        let (keys, kid) = (self.keys, header.kid.as_deref());
        let key = keys
            .find(self.clients, self.timeout, &rules.jwks, kid, self.now)
            .await
            .map_err(IdTokenError::Keys)?
            .ok_or(IdTokenError::UnknownKey)?;
        let claims = match signed_claims(token, &key, header.alg) {
            Err(IdTokenError::BadSignature) => {
                let (clients, jwks) = (self.clients, &rules.jwks);
                let other = keys.find_other(clients, self.timeout, jwks, kid, self.now, &key).await;
                signed_claims(token, &other.ok_or(IdTokenError::BadSignature)?, header.alg)?
            }
            claims => claims?,
        };
        check_claims(&claims, rules, self.now)?;
        check_nonce(&claims, nonce)?;
        Ok(claims)
    }
}

fn signed_claims(token: &str, key: &Jwk, algorithm: Algorithm) -> Result<Value, IdTokenError> {
    let key = DecodingKey::from_jwk(key).map_err(|_| IdTokenError::UnknownKey)?;
    let decoded = decode::<Value>(token, &key, &signature_only(algorithm));
    Ok(decoded.map_err(|_| IdTokenError::BadSignature)?.claims)
}

/// Everything else is checked here, by our clock.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

fn check_claims(
    claims: &Value,
    rules: &IdTokenRules,
    now: OffsetDateTime,
) -> Result<(), IdTokenError> {
    let issuer = claims["iss"].as_str().unwrap_or_default();
    if !rules.issuers.iter().any(|known| known == issuer) {
        return Err(IdTokenError::WrongIssuer);
    }
    if !is_for(claims, &rules.audiences) {
        return Err(IdTokenError::WrongAudience);
    }
    check_times(claims, now)?;
    if claims["sub"].as_str().is_none() {
        return Err(IdTokenError::MissingClaim);
    }
    Ok(())
}

/// Whether one of the audiences is among those of the token.
fn is_for(claims: &Value, audiences: &[String]) -> bool {
    let is_ours = |value: &Value| {
        value.as_str().is_some_and(|audience| audiences.iter().any(|ours| ours == audience))
    };
    match &claims["aud"] {
        Value::Array(all) => all.iter().any(is_ours),
        one => is_ours(one),
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds fit into 53 bits for eons")]
fn check_times(claims: &Value, now: OffsetDateTime) -> Result<(), IdTokenError> {
    let now = now.unix_timestamp() as f64;
    let time = |name: &str| match &claims[name] {
        Value::Null => Ok(None),
        value => value.as_f64().map(Some).ok_or(IdTokenError::Malformed),
    };
    if time("exp")?.is_none_or(|expiry| now >= expiry + LEEWAY) {
        return Err(IdTokenError::Expired);
    }
    for name in ["iat", "nbf"] {
        if time(name)?.is_some_and(|at| now + LEEWAY < at) {
            return Err(IdTokenError::NotYetValid);
        }
    }
    Ok(())
}

fn check_nonce(claims: &Value, expected: ExpectedNonce<'_>) -> Result<(), IdTokenError> {
    let found = claims["nonce"].as_str();
    let expected = match expected {
        ExpectedNonce::Exactly(nonce) => nonce.to_owned(),
        ExpectedNonce::HashOf(None) if found.is_none() => return Ok(()),
        ExpectedNonce::HashOf(nonce) => {
            let digest = aws_lc_rs::digest::digest(
                &aws_lc_rs::digest::SHA256,
                nonce.unwrap_or_default().as_bytes(),
            );
            hex(digest.as_ref())
        }
    };
    let found = found.ok_or(IdTokenError::WrongNonce)?;
    verify_slices_are_equal(found.as_bytes(), expected.as_bytes())
        .map_err(|_| IdTokenError::WrongNonce)
}

/// Whoever the token was issued to, if it says so, has to be us. This is for tokens that we fetched
/// ourselves; those of applications name the application (`OpenID` Connect Core 3.1.3.7, step 5).
pub fn check_authorized_party(claims: &Value, ours: &[String]) -> Result<(), IdTokenError> {
    match &claims["azp"] {
        Value::Null => Ok(()),
        Value::String(party) if ours.contains(party) => Ok(()),
        _ => Err(IdTokenError::WrongAudience),
    }
}

/// Checks a token that came straight from the token endpoint of a provider whose identity is read
/// elsewhere: it must be for us and for this sign-in. The connection proves who made it
/// (`OpenID` Connect Core 3.1.3.7, step 6).
pub fn check_companion(
    token: &SecretString,
    client_id: &str,
    nonce: &str,
    now: OffsetDateTime,
) -> Result<(), IdTokenError> {
    let payload = token.expose_secret().split('.').nth(1).ok_or(IdTokenError::Malformed)?;
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| IdTokenError::Malformed)?;
    let claims: Value = serde_json::from_slice(&payload).map_err(|_| IdTokenError::Malformed)?;
    if !is_for(&claims, &[client_id.to_owned()]) {
        return Err(IdTokenError::WrongAudience);
    }
    check_times(&claims, now)?;
    check_nonce(&claims, ExpectedNonce::Exactly(nonce))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::*;
    use crate::clients::Address;

    const NOW: i64 = 1_800_000_000;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(NOW).unwrap()
    }

    fn check(change: &Value) -> Result<(), IdTokenError> {
        let jwks = Address::configured(Url::parse("https://i.test/keys").unwrap());
        let rules =
            IdTokenRules::discovered("https://i.test".to_owned(), vec!["app".to_owned()], jwks);
        let mut claims =
            json!({"iss": "https://i.test", "aud": "app", "sub": "1", "exp": NOW + 60, "iat": NOW});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        check_claims(&claims, &rules, now())
    }

    #[test]
    fn claims_that_fit_are_taken() {
        for change in [
            json!({}),
            json!({"aud": ["other", "app"]}),
            json!({"iat": null}),
            json!({"exp": NOW - 29}),
            json!({"iat": NOW + 29}),
            json!({"nbf": NOW, "exp": 1.8e9 + 5.5}),
        ] {
            assert!(check(&change).is_ok(), "{change}");
        }
    }

    #[test]
    fn claims_that_do_not_fit_are_refused() {
        for change in [
            json!({"iss": "https://i.test/"}),
            json!({"iss": null}),
            json!({"aud": "other"}),
            json!({"aud": []}),
            json!({"aud": null}),
            json!({"exp": null}),
            json!({"exp": NOW - 31}),
            json!({"exp": "soon"}),
            json!({"iat": NOW + 31}),
            json!({"nbf": NOW + 31}),
            json!({"sub": 1}),
            json!({"sub": null}),
        ] {
            assert!(check(&change).is_err(), "{change}");
        }
    }

    #[test]
    fn a_token_that_was_issued_to_another_client_is_not_for_us() {
        let ours = ["app".to_owned()];
        for (claims, fits) in
            [(json!({}), true), (json!({"azp": "app"}), true), (json!({"azp": "other"}), false)]
        {
            assert_eq!(check_authorized_party(&claims, &ours).is_ok(), fits, "{claims}");
        }
    }

    #[test]
    fn applications_send_the_nonce_and_providers_its_hash() {
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let with = |nonce: Value| json!({"nonce": nonce});
        for (claims, expected, fits) in [
            (with(hash.into()), ExpectedNonce::HashOf(Some("foo")), true),
            (with("foo".into()), ExpectedNonce::HashOf(Some("foo")), false),
            (with(hash.into()), ExpectedNonce::HashOf(None), false),
            (with(Value::Null), ExpectedNonce::HashOf(None), true),
            (with(Value::Null), ExpectedNonce::HashOf(Some("foo")), false),
            (with("foo".into()), ExpectedNonce::Exactly("foo"), true),
            (with("bar".into()), ExpectedNonce::Exactly("foo"), false),
            (with(Value::Null), ExpectedNonce::Exactly("foo"), false),
        ] {
            assert_eq!(check_nonce(&claims, expected).is_ok(), fits, "{claims} {expected:?}");
        }
    }
}
