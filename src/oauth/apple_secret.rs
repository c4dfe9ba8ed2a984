//! Apple's client secret: a token that is signed with a key of ours.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use time::{Duration, OffsetDateTime};

/// Made anew for every use, so it need not live longer than a request on clocks that disagree.
const LIFETIME: Duration = Duration::minutes(10);

/// The private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key on curve P-256 in PEM, nor the base64 of one")]
pub struct InvalidAppleKey;

/// What signs Apple's client secrets.
#[derive(Clone)]
pub struct AppleKey {
    key: EncodingKey,
    key_id: String,
    team_id: String,
}

impl AppleKey {
    /// From the settings; line feeds of the PEM may be written `\n`, or all of it be base64.
    pub fn parse(
        private_key: &SecretString,
        key_id: &str,
        team_id: &str,
    ) -> Result<Self, InvalidAppleKey> {
        let text = private_key.expose_secret().replace("\\n", "\n");
        let text = text.trim();
        let pem = if text.starts_with("-----BEGIN") {
            text.as_bytes().to_vec()
        } else {
            STANDARD.decode(text).map_err(|_| InvalidAppleKey)?
        };
        let key = EncodingKey::from_ec_pem(&pem).map_err(|_| InvalidAppleKey)?;
        let parsed = Self { key, key_id: key_id.to_owned(), team_id: team_id.to_owned() };
        // A key on another curve shows only when it signs.
        parsed.sign("", "", OffsetDateTime::UNIX_EPOCH).ok_or(InvalidAppleKey)?;
        Ok(parsed)
    }

    /// A secret for this client that Apple will take for the next minutes.
    pub fn client_secret(
        &self,
        client_id: &str,
        audience: &str,
        now: OffsetDateTime,
    ) -> SecretString {
        self.sign(client_id, audience, now).expect("a key that has signed signs again").into()
    }

    fn sign(&self, client_id: &str, audience: &str, now: OffsetDateTime) -> Option<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            sub: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key_id.clone());
        let claims = Claims {
            iss: &self.team_id,
            sub: client_id,
            aud: audience,
            iat: now.unix_timestamp(),
            exp: (now + LIFETIME).unix_timestamp(),
        };
        encode(&header, &claims, &self.key).ok()
    }
}

impl fmt::Debug for AppleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppleKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\nOF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n-----END PRIVATE KEY-----\n";

    #[test]
    fn keys_are_read_in_all_the_forms_that_operators_paste() {
        let folded = PEM.replace('\n', "\\n");
        for text in [PEM, &folded, &STANDARD.encode(PEM)] {
            let key = AppleKey::parse(&text.into(), "KEY", "TEAM").unwrap();
            let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
            let secret = key.client_secret("app", "https://appleid.apple.com", now);
            let header = jsonwebtoken::decode_header(secret.expose_secret()).unwrap();
            assert_eq!((header.alg, header.kid.as_deref()), (Algorithm::ES256, Some("KEY")));
        }
        for bad in ["", "x", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"] {
            assert!(AppleKey::parse(&bad.into(), "KEY", "TEAM").is_err(), "{bad}");
        }
    }

    #[test]
    fn the_key_is_not_shown_in_logs() {
        let key = AppleKey::parse(&PEM.into(), "KEY", "TEAM").unwrap();
        assert_eq!(format!("{key:?}"), "AppleKey { key_id: \"KEY\", .. }");
    }
}
