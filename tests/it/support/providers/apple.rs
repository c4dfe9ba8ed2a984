//! Apple's client secrets, which its customers sign themselves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::id_tokens::Keys;

pub(super) const TEAM: &str = "TEAM123456";
pub(super) const KEY_ID: &str = "KEY1234567";
/// Apple takes half a year; a secret for one call has no reason to live longer than this.
const LONGEST_LIFE: i64 = 3_600;

/// Whether a client secret is good now; if not, why.
pub(super) fn check_secret(secret: &str, client_id: &str, now: i64) -> Result<(), &'static str> {
    let (message, signature) = secret.rsplit_once('.').ok_or("no JWT")?;
    let (header, claims) = message.split_once('.').ok_or("no JWT")?;
    let read = |part: &str| -> Result<Value, &'static str> {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "no base64url")?;
        serde_json::from_slice(&bytes).map_err(|_| "no JSON")
    };
    let (header, claims) = (read(header)?, read(claims)?);
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "no base64url")?;
    let expires = claims["exp"].as_i64().unwrap_or_default();
    let issued = claims["iat"].as_i64().unwrap_or(i64::MAX);
    for (is_right, what) in [
        (header["alg"] == "ES256", "alg"),
        (header["kid"] == KEY_ID, "kid"),
        (claims["iss"] == TEAM, "iss"),
        (claims["sub"] == client_id, "sub"),
        (claims["aud"] == "https://appleid.apple.com", "aud"),
        (issued <= now, "iat"),
        (now < expires, "exp is over"),
        (expires <= now + LONGEST_LIFE, "exp is too far away"),
        (Keys::shared().is_of_apples_customer(message, &signature), "signature"),
    ] {
        if !is_right {
            return Err(what);
        }
    }
    Ok(())
}
