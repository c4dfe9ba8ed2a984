//! Verification of access tokens: signature, algorithm, issuer and times.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use uuid::Uuid;

use super::keys::{Accepted, KeySet};
use crate::domain::ids::{SessionId, UserId};

/// What a valid access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// `sub`, if it is a UUID.
    pub user_id: Option<UserId>,
    /// `sid`, which tokens of the reference lack.
    pub session_id: Option<SessionId>,
    /// `x-hasura-user-id`, if it is a UUID; a few operations read this one.
    pub claims_user_id: Option<UserId>,
    /// `iat` in whole seconds of Unix time.
    pub issued_at: Option<i64>,
    /// Whether `x-hasura-auth-elevated` is the subject.
    pub is_elevated: bool,
    /// `x-hasura-user-is-anonymous`.
    pub is_anonymous: bool,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of base64, or not JSON inside.
    #[error("token is malformed")]
    Malformed,
    /// None of our keys signs with this algorithm.
    #[error("token is signed with another algorithm")]
    WrongAlgorithm,
    /// None of our keys made this signature.
    #[error("token signature is invalid")]
    BadSignature,
    /// `iss` is absent.
    #[error("token has no issuer")]
    MissingIssuer,
    /// `iss` is somebody else.
    #[error("token has another issuer")]
    WrongIssuer,
    /// `exp` is absent.
    #[error("token has no expiry")]
    MissingExpiry,
    /// `exp` has come.
    #[error("token is expired")]
    Expired,
    /// `iat` is in the future.
    #[error("token was used before it was issued")]
    IssuedInFuture,
    /// `nbf` is in the future.
    #[error("token is not valid yet")]
    NotYetValid,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow, default)]
    kid: Option<Cow<'a, str>>,
    /// Extensions that must be understood; none is (RFC 7515, 4.1.11).
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// The members of the namespace that matter here.
#[derive(Default, Deserialize)]
struct HasuraClaims<'a> {
    #[serde(rename = "x-hasura-user-id", borrow, default)]
    user_id: Option<Cow<'a, str>>,
    #[serde(rename = "x-hasura-auth-elevated", borrow, default)]
    elevated: Option<Cow<'a, str>>,
    #[serde(rename = "x-hasura-user-is-anonymous", borrow, default)]
    is_anonymous: Option<Cow<'a, str>>,
}

#[derive(Default)]
struct Payload<'a> {
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
    iss: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    sub: Option<Cow<'a, str>>,
    hasura: Option<&'a RawValue>,
}

/// How many seconds the clocks of nodes may differ. For the end of a token there is none: it ends for
/// its other verifiers too.
const LEEWAY_S: f64 = 5.0;

impl KeySet {
    /// Checks a token at the given time; the signature comes first. A token may be from a node whose
    /// clock is a few seconds ahead.
    pub fn verify(&self, token: &str, now: OffsetDateTime) -> Result<VerifiedToken, TokenError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        let signature = decode(signature)?;
        let accepted = self.find_signer(header, message, &signature, now)?;
        let payload = decode(payload)?;
        let mut refusal = None;
        // One, unless a reload has changed issuer or namespace a moment ago.
        for other in self.live(now).filter(|other| Arc::ptr_eq(&other.key, &accepted.key)) {
            let payload = Payload::parse(&payload, other.terms.claims_namespace())?;
            match payload.check(other.terms.issuer(), now) {
                Ok(()) => return Ok(payload.into_verified()),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        Err(refusal.unwrap_or(TokenError::BadSignature))
    }

    /// The key that has signed this.
    fn find_signer(
        &self,
        header: &str,
        message: &str,
        signature: &[u8],
        now: OffsetDateTime,
    ) -> Result<&Accepted, TokenError> {
        let mut is_own = false;
        // Our own header needs no parsing. Shared secrets without a name all have the same.
        for own in self.live(now).filter(|own| own.key.encoded_header() == header) {
            is_own = true;
            if own.key.verify(message, signature) {
                return Ok(own);
            }
        }
        if is_own {
            return Err(TokenError::BadSignature);
        }
        let header = decode(header)?;
        let header = serde_json::from_slice(&header).map_err(|_| TokenError::Malformed)?;
        let mut candidates = self.candidates(&header, now)?;
        candidates
            .find(|other| other.key.verify(message, signature))
            .ok_or(TokenError::BadSignature)
    }

    /// The keys that the header names, else every key of its algorithm.
    fn candidates<'a>(
        &'a self,
        header: &Header<'_>,
        now: OffsetDateTime,
    ) -> Result<impl Iterator<Item = &'a Accepted>, TokenError> {
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let mut fitting: Vec<&Accepted> =
            self.live(now).filter(|fits| fits.key.algorithm_name() == header.alg).collect();
        if fitting.is_empty() {
            return Err(TokenError::WrongAlgorithm);
        }
        if let Some(kid) = header.kid.as_deref()
            && fitting.iter().any(|fits| fits.key.kid() == Some(kid))
        {
            fitting.retain(|fits| fits.key.kid() == Some(kid));
        }
        Ok(fitting.into_iter())
    }
}

impl<'a> Payload<'a> {
    fn parse(json: &'a [u8], namespace: &str) -> Result<Self, TokenError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let payload = PayloadSeed { namespace }
            .deserialize(&mut deserializer)
            .map_err(|_| TokenError::Malformed)?;
        deserializer.end().map_err(|_| TokenError::Malformed)?;
        Ok(payload)
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds fit into 53 bits for eons")]
    fn check(&self, issuer: &str, now: OffsetDateTime) -> Result<(), TokenError> {
        let now = now.unix_timestamp() as f64 + f64::from(now.microsecond()) / 1e6;
        if now >= self.exp.ok_or(TokenError::MissingExpiry)? {
            return Err(TokenError::Expired);
        }
        if self.iat.is_some_and(|issued_at| now + LEEWAY_S < issued_at) {
            return Err(TokenError::IssuedInFuture);
        }
        if self.nbf.is_some_and(|not_before| now + LEEWAY_S < not_before) {
            return Err(TokenError::NotYetValid);
        }
        match self.iss.as_deref() {
            None | Some("") => Err(TokenError::MissingIssuer),
            Some(found) if found == issuer => Ok(()),
            Some(_) => Err(TokenError::WrongIssuer),
        }
    }

    fn into_verified(self) -> VerifiedToken {
        // A namespace that is absent or odd says nothing; the subject still counts.
        let hasura: HasuraClaims<'_> =
            self.hasura.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let uuid = |text: Option<&str>| Uuid::parse_str(text?).ok();
        VerifiedToken {
            user_id: uuid(self.sub.as_deref()).map(UserId),
            session_id: uuid(self.sid.as_deref()).map(SessionId),
            claims_user_id: uuid(hasura.user_id.as_deref()).map(UserId),
            issued_at: self
                .iat
                .and_then(time::Duration::checked_seconds_f64)
                .map(time::Duration::whole_seconds),
            is_elevated: self.sub.is_some() && hasura.elevated == self.sub,
            is_anonymous: hasura.is_anonymous.as_deref() == Some("true"),
        }
    }
}

/// The namespace is a setting, which a derived implementation could not know.
struct PayloadSeed<'n> {
    namespace: &'n str,
}

impl<'de> DeserializeSeed<'de> for PayloadSeed<'_> {
    type Value = Payload<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PayloadSeed<'_> {
    type Value = Payload<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut payload = Payload::default();
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "exp" => payload.exp = map.next_value()?,
                "iat" => payload.iat = map.next_value()?,
                "nbf" => payload.nbf = map.next_value()?,
                "iss" => payload.iss = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0),
                "sid" => payload.sid = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0),
                "sub" => payload.sub = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0),
                name if name == self.namespace => payload.hasura = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(payload)
    }
}

/// Borrowed text where JSON has no escapes in it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}
