//! Signed requests of `OAuth` 1.0a (RFC 5849), for the one provider that still wants them.
//!
//! The crates that sign (`oauth1-request`, `reqwest-oauth1`) have had no release for years; what is
//! needed of the standard fits in here and is tested against vectors.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// All but the unreserved characters (RFC 5849, 3.6).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Who signs.
#[derive(Debug)]
pub struct Credentials<'a> {
    pub consumer_key: &'a str,
    pub consumer_secret: &'a SecretString,
    /// Token and its secret, once there is one.
    pub token: Option<(&'a str, &'a SecretString)>,
}

/// Timestamp and nonce of a request, which make its signature unique.
#[derive(Debug)]
pub struct TimestampAndNonce<'a> {
    /// Seconds since 1970.
    pub timestamp: i64,
    pub nonce: &'a str,
}

/// The `Authorization` header of a request without a form in its body; `more` are further
/// `oauth_…` parameters.
pub fn authorization(
    method: &str,
    url: &Url,
    credentials: &Credentials<'_>,
    more: &[(&str, &str)],
    timestamp_and_nonce: &TimestampAndNonce<'_>,
) -> String {
    let timestamp = timestamp_and_nonce.timestamp.to_string();
    let mut parameters = vec![
        ("oauth_consumer_key", credentials.consumer_key),
        ("oauth_nonce", timestamp_and_nonce.nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ];
    if let Some((token, _)) = credentials.token {
        parameters.push(("oauth_token", token));
    }
    parameters.extend_from_slice(more);
    let signature = sign(method, url, credentials, &parameters);
    parameters.push(("oauth_signature", &signature));
    parameters.sort_unstable();
    let parameters: Vec<String> =
        parameters.iter().map(|(key, value)| format!("{key}=\"{}\"", encode(value))).collect();
    format!("OAuth {}", parameters.join(", "))
}

/// RFC 5849, 3.4.
fn sign(
    method: &str,
    url: &Url,
    credentials: &Credentials<'_>,
    parameters: &[(&str, &str)],
) -> String {
    let mut all: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, value)| (encode(&key), encode(&value)))
        .chain(parameters.iter().map(|(key, value)| (encode(key), encode(value))))
        .collect();
    all.sort_unstable();
    let all: Vec<String> = all.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut base_url = url.clone();
    base_url.set_query(None);
    base_url.set_fragment(None);
    let base = format!("{method}&{}&{}", encode(base_url.as_str()), encode(&all.join("&")));
    let token_secret = credentials.token.map_or("", |(_, secret)| secret.expose_secret());
    let key =
        format!("{}&{}", encode(credentials.consumer_secret.expose_secret()), encode(token_secret));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, base.as_bytes()))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known signatures of requests for an access token and for a profile.
    #[test]
    fn signatures_are_those_of_the_vectors() {
        let secret = SecretString::from("csec");
        let check = |method: &str, url: &str, nonce, token: (&str, &str), more: &[(&str, &str)]| {
            let token_secret = SecretString::from(token.1);
            let credentials = Credentials {
                consumer_key: "ckey",
                consumer_secret: &secret,
                token: Some((token.0, &token_secret)),
            };
            let timestamp_and_nonce = TimestampAndNonce { timestamp: 1_795_463_945, nonce };
            let header = authorization(
                method,
                &Url::parse(url).unwrap(),
                &credentials,
                more,
                &timestamp_and_nonce,
            );
            let (_, rest) = header.split_once("oauth_signature=\"").unwrap();
            let signature = rest.split('"').next().unwrap();
            percent_encoding::percent_decode_str(signature).decode_utf8().unwrap().into_owned()
        };
        let access = "https://api.twitter.com/oauth/access_token";
        let (nonce, verifier) = ("vVTpm09+8Kgvhz3mF0rX/w==", [("oauth_verifier", "V1")]);
        assert_eq!(
            check("POST", access, nonce, ("RT1", ""), &verifier),
            "gHZqWv3bU6hJMlCqkVC8fli9GdY="
        );
        assert_eq!(
            check("POST", access, nonce, ("RT1", "RTS1"), &verifier),
            "QcTRUGL7MXNF+B+C3cWRnY+F+kE="
        );
        let profile =
            "https://api.twitter.com/1.1/account/verify_credentials.json?include_email=true";
        assert_eq!(
            check("GET", profile, "G8eG5FE/hrbmx5zYn5Wjlg==", ("AT1", "ATS1"), &[]),
            "jGEjxU/t+VMWTq4QB6ys9irk8rU="
        );
    }

    #[test]
    fn the_header_is_sorted_and_encoded() {
        let secret = SecretString::from("s");
        let credentials =
            Credentials { consumer_key: "k k", consumer_secret: &secret, token: None };
        let url = Url::parse("http://localhost/x").unwrap();
        let timestamp_and_nonce = TimestampAndNonce { timestamp: 1, nonce: "n" };
        let callback = [("oauth_callback", "http://a/?b=c d")];
        let header = authorization("POST", &url, &credentials, &callback, &timestamp_and_nonce);
        assert!(
            header.starts_with("OAuth oauth_callback=\"http%3A%2F%2Fa%2F%3Fb%3Dc%20d\", oauth_consumer_key=\"k%20k\", oauth_nonce=\"n\", oauth_signature=\""),
            "{header}"
        );
        assert!(header.ends_with("oauth_version=\"1.0\""), "{header}");
    }
}
