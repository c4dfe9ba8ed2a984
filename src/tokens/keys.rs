//! The signing keys in force, and what is published about them. `key_ring.rs` tells which they are.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::ThumbprintHash;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::access_token::{Frame, UserClaims};
use super::key_material::KeyMaterial;
pub use super::key_material::SignError;
use crate::domain::ids::SessionId;

/// Issuer of tokens when the secret names none.
pub const DEFAULT_ISSUER: &str = "hasura-auth";
/// Member of the payload that holds Hasura's claims when the secret names none.
pub const DEFAULT_CLAIMS_NAMESPACE: &str = "https://hasura.io/jwt/claims";
/// Shortest shared secret in bytes (RFC 7518, 3.2, for HS256; weaker ones can be guessed offline).
pub const MIN_SECRET_BYTES: usize = 32;

/// Signed with a shared secret to tell it from others.
const IDENTITY: &[u8] = b"keywright fingerprint of a signing key";

/// Room for the longest signature in base64: RSA with 8192 bits, the most that is verified.
const MAX_ENCODED_SIGNATURE: usize = 1366;

/// Keys, issuer and namespace; immutable, replaced as a whole.
///
/// The first key signs; every key verifies and is published, some until a certain time.
pub struct KeySet {
    accepted: Vec<Accepted>,
}

/// A key whose tokens are good.
#[derive(Clone)]
pub(super) struct Accepted {
    pub(super) key: Arc<Key>,
    pub(super) terms: Arc<Terms>,
    /// Unix seconds; none while the key is in use.
    pub(super) until: Option<i64>,
}

impl Accepted {
    fn is_live(&self, now: OffsetDateTime) -> bool {
        self.until.is_none_or(|until| now.unix_timestamp() < until)
    }
}

/// Who issues tokens, and how they are laid out.
pub(super) struct Terms {
    issuer: Box<str>,
    claims_namespace: Box<str>,
    frame: Frame,
}

impl Terms {
    fn new(issuer: &str, namespace: &str) -> Result<Self, KeyError> {
        if ["exp", "iat", "iss", "nbf", "sid", "sub"].contains(&namespace) {
            return Err(fail("\"claims_namespace\" is the name of another claim"));
        }
        let frame = Frame::new(issuer, namespace);
        Ok(Self { issuer: issuer.into(), claims_namespace: namespace.into(), frame })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn claims_namespace(&self) -> &str {
        &self.claims_namespace
    }

    /// Whether tokens under both are the same.
    pub(super) fn are(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.claims_namespace == other.claims_namespace
    }
}

/// One key with its name.
pub struct Key {
    algorithm: Algorithm,
    algorithm_name: Box<str>,
    kid: Option<Box<str>>,
    /// Base64 of the header that tokens of this key carry.
    header: Box<str>,
    material: KeyMaterial,
    /// The public half as JSON.
    jwk: Option<Box<str>>,
}

/// The secret cannot be used; the text names the setting and never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("HASURA_GRAPHQL_JWT_SECRET: {0}")]
pub struct KeyError(String);

/// The JSON of the setting; other members are Hasura's.
#[derive(Deserialize)]
struct JwtSecret {
    #[serde(rename = "type", default)]
    algorithm: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    signing_key: Option<String>,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    #[serde(default)]
    claims_namespace: Option<String>,
}

impl KeySet {
    /// The key of the setting alone.
    pub fn from_secret(secret: &SecretString) -> Result<Self, KeyError> {
        let (key, terms) = read_secret(secret)?;
        Ok(Self::of(vec![Accepted { key: Arc::new(key), terms: Arc::new(terms), until: None }]))
    }

    /// The first one signs.
    pub(super) fn of(accepted: Vec<Accepted>) -> Self {
        Self { accepted }
    }

    /// Issues an access token of a session (`sid`, as `OpenID Connect` has it) that is valid from `now` for
    /// `lifetime`, in whole seconds.
    ///
    /// Where [`KeySet::is_slow`] it belongs on a thread of its own, otherwise on the worker's.
    pub fn sign(
        &self,
        claims: &UserClaims,
        session: SessionId,
        now: OffsetDateTime,
        lifetime: Duration,
    ) -> Result<String, SignError> {
        let issued_at = now.unix_timestamp();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let payload =
            self.terms().frame.fill(claims, session, issued_at, issued_at.saturating_add(lifetime));
        self.signing_key().sign(payload.as_bytes())
    }

    /// Whether signing keeps a core busy for so long (RSA, a fifth of a millisecond) that a worker
    /// thread, on which other requests wait, is no place for it.
    pub fn is_slow(&self) -> bool {
        matches!(self.signing_key().material, KeyMaterial::Rsa { .. })
    }

    /// `iss` of our tokens.
    pub fn issuer(&self) -> &str {
        &self.terms().issuer
    }

    /// Member of the payload that holds Hasura's claims.
    pub fn claims_namespace(&self) -> &str {
        &self.terms().claims_namespace
    }

    /// The `kid` in the header of new tokens.
    pub fn kid(&self) -> Option<&str> {
        self.signing_key().kid()
    }

    /// The `alg` in the header of new tokens.
    pub fn algorithm(&self) -> &str {
        &self.signing_key().algorithm_name
    }

    /// Every public key as a JSON Web Key Set; without any for shared secrets.
    pub fn jwks_json(&self, now: OffsetDateTime) -> String {
        let mut published: Vec<&str> = Vec::with_capacity(self.accepted.len());
        for jwk in self.live(now).filter_map(|accepted| accepted.key.jwk.as_deref()) {
            if !published.contains(&jwk) {
                published.push(jwk);
            }
        }
        format!(r#"{{"keys":[{}]}}"#, published.join(","))
    }

    /// The keys whose tokens are good at this time.
    pub(super) fn live(&self, now: OffsetDateTime) -> impl Iterator<Item = &Accepted> {
        self.accepted.iter().filter(move |accepted| accepted.is_live(now))
    }

    /// What tells the keys in use from others, and gives none away; equal for equal keys. Not for the
    /// public: a shared secret that is weak could be guessed from it, as from any token.
    pub fn identity(&self) -> Vec<u8> {
        let mut identity = Vec::new();
        let mut add = |part: &[u8]| {
            identity.extend_from_slice(part);
            identity.push(0);
        };
        // Those that are only accepted for a while are not everybody's: a node that starts now has none.
        for Accepted { key, terms, .. } in self.accepted.iter().filter(|key| key.until.is_none()) {
            add(terms.issuer().as_bytes());
            add(terms.claims_namespace().as_bytes());
            if let Some(jwk) = &key.jwk {
                add(jwk.as_bytes());
            } else {
                add(key.encoded_header().as_bytes());
                // Shared secrets sign in only one way; a text that is no token.
                add(&key.material.sign(IDENTITY, <[u8]>::to_vec).unwrap_or_default());
            }
        }
        identity
    }

    fn signing_key(&self) -> &Key {
        &self.first().key
    }

    fn terms(&self) -> &Terms {
        &self.first().terms
    }

    fn first(&self) -> &Accepted {
        self.accepted.first().expect("a key set is made with a key")
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid())
            .field("issuer", &self.issuer())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(
        name: &str,
        key: &str,
        signing_key: Option<&str>,
        kid: Option<String>,
    ) -> Result<Self, KeyError> {
        let algorithm = match Algorithm::from_str(name) {
            Ok(Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512) | Err(_) => {
                let known = "HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384 or EdDSA";
                return Err(fail(format!("\"type\" must be one of {known}")));
            }
            Ok(algorithm) => algorithm,
        };
        let material = match KeyMaterial::from_secret(algorithm, key.as_bytes()) {
            Some(_) if key.len() < MIN_SECRET_BYTES => {
                return Err(fail(format!("\"key\" is shorter than {MIN_SECRET_BYTES} bytes")));
            }
            Some(material) => material,
            None => {
                let signing_key = signing_key.ok_or_else(|| fail("\"signing_key\" is missing"))?;
                KeyMaterial::from_pem(algorithm, key, signing_key).map_err(fail)?
            }
        };
        Self::of(algorithm, name, material, kid)
    }

    /// A key pair in PKCS#8, as [`generate`] makes them; its name is the thumbprint.
    pub fn from_pkcs8(name: &str, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let algorithm = generated_algorithm(name)
            .ok_or_else(|| fail("a stored key has an algorithm that this version does not know"))?;
        let material = KeyMaterial::from_pkcs8(algorithm, pkcs8)
            .ok_or_else(|| fail("a stored key is no private key that fits its algorithm"))?;
        Self::of(algorithm, name, material, None)
    }

    fn of(
        algorithm: Algorithm,
        name: &str,
        material: KeyMaterial,
        kid: Option<String>,
    ) -> Result<Self, KeyError> {
        let mut jwk = material.public_jwk(algorithm);
        let kid = match (kid, &jwk) {
            (Some(kid), _) => Some(kid),
            (None, Some(jwk)) => Some(
                jwk.thumbprint(ThumbprintHash::SHA256)
                    .map_err(|_| fail("the public key has no thumbprint"))?,
            ),
            (None, None) => None,
        };
        if let Some(jwk) = &mut jwk {
            jwk.common.key_id.clone_from(&kid);
        }
        let jwk = jwk.map(|jwk| serde_json::to_string(&jwk)).transpose();
        let jwk = jwk.map_err(|_| fail("the public key cannot be published"))?;
        Ok(Self {
            algorithm,
            algorithm_name: name.into(),
            header: encoded_header(name, kid.as_deref()),
            kid: kid.map(Into::into),
            material,
            jwk: jwk.map(Into::into),
        })
    }

    /// A complete token with this payload.
    fn sign(&self, payload: &[u8]) -> Result<String, SignError> {
        let encoded_len = |bytes: usize| bytes.div_ceil(3) * 4;
        let capacity =
            self.header.len() + encoded_len(payload.len()) + encoded_len(self.signature_len()) + 2;
        let mut token = String::with_capacity(capacity);
        token.push_str(&self.header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let mut encoded = [0; MAX_ENCODED_SIGNATURE];
        let length = self.material.sign(token.as_bytes(), |signature| {
            URL_SAFE_NO_PAD.encode_slice(signature, &mut encoded)
        })?;
        let length = length.map_err(|_| SignError)?;
        token.push('.');
        token.push_str(str::from_utf8(&encoded[..length]).map_err(|_| SignError)?);
        Ok(token)
    }

    /// Enough room for the signature in most cases; more is allocated if not.
    const fn signature_len(&self) -> usize {
        match self.algorithm {
            Algorithm::HS256 => 32,
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => 256,
            _ => 96,
        }
    }

    pub(super) fn verify(&self, message: &str, signature: &[u8]) -> bool {
        self.material.verify(message.as_bytes(), signature)
    }

    pub(super) fn encoded_header(&self) -> &str {
        &self.header
    }

    pub(super) fn algorithm_name(&self) -> &str {
        &self.algorithm_name
    }

    /// The name that its tokens carry.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (algorithm, kid) = (&self.algorithm_name, &self.kid);
        f.debug_struct("Key")
            .field("algorithm", algorithm)
            .field("kid", kid)
            .finish_non_exhaustive()
    }
}

/// A new key pair for this algorithm, in PKCS#8; none for algorithms whose keys are not made here.
pub fn generate(algorithm: &str) -> Option<Zeroizing<Vec<u8>>> {
    KeyMaterial::generate(generated_algorithm(algorithm)?)
}

/// Algorithms whose keys can be made here.
pub const GENERATED: [&str; 4] = ["ES256", "ES384", "EdDSA", "RS256"];

fn generated_algorithm(name: &str) -> Option<Algorithm> {
    GENERATED.contains(&name).then(|| name.parse().ok()).flatten()
}

/// Reads `HASURA_GRAPHQL_JWT_SECRET`; a key pair must belong together.
pub(super) fn read_secret(secret: &SecretString) -> Result<(Key, Terms), KeyError> {
    let secret: JwtSecret = serde_json::from_str(secret.expose_secret())
        // The library's own text would quote the value.
        .map_err(|error| {
            let (line, column) = (error.line(), error.column());
            fail(format!("not the expected JSON object (line {line}, column {column})"))
        })?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let issuer = given(secret.issuer).unwrap_or_else(|| DEFAULT_ISSUER.to_owned());
    let namespace =
        given(secret.claims_namespace).unwrap_or_else(|| DEFAULT_CLAIMS_NAMESPACE.to_owned());
    let key = Key::new(
        &secret.algorithm.unwrap_or_default(),
        &given(secret.key).ok_or_else(|| fail("\"key\" is missing"))?,
        given(secret.signing_key).as_deref(),
        given(secret.kid),
    )?;
    Ok((key, Terms::new(&issuer, &namespace)?))
}

fn encoded_header(algorithm: &str, kid: Option<&str>) -> Box<str> {
    let kid = kid.map_or_else(String::new, |kid| {
        let kid = serde_json::to_string(kid).expect("text can always be written as JSON");
        format!(",\"kid\":{kid}")
    });
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"{kid}}}"#)).into()
}

fn fail(reason: impl Into<String>) -> KeyError {
    KeyError(reason.into())
}

#[cfg(test)]
mod tests;
