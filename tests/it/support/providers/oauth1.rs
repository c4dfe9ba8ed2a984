//! Signatures of OAuth 1.0a (RFC 5849), written for the tests alone.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::Parameters;

/// Everything but letters, digits, `-`, `.`, `_` and `~` (3.6).
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("text");
        }
    }
    out
}

fn decode(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// HMAC-SHA1 over method, URL and all parameters (3.4).
pub(super) fn signature(
    method: &str,
    url: &str,
    parameters: &Parameters,
    consumer_secret: &str,
    token_secret: &str,
) -> String {
    let mut pairs: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let base = format!("{method}&{}&{}", encode(url), encode(&pairs.join("&")));
    let key = format!("{}&{}", encode(consumer_secret), encode(token_secret));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, base.as_bytes()))
}

/// The `oauth_*` parameters of an `Authorization` header (3.5.1).
pub(super) fn read_header(header: &str) -> Option<Parameters> {
    let mut all = Parameters::new();
    for part in header.strip_prefix("OAuth ")?.split(',') {
        let (name, value) = part.trim().split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        if all.insert(decode(name)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(all)
}

/// Known signatures of requests for an access token and for a profile.
#[test]
fn signatures_are_those_of_the_vectors() {
    let parameters = |more: &[(&str, &str)]| -> Parameters {
        let usual = [
            ("oauth_consumer_key", "ckey"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1795463945"),
            ("oauth_version", "1.0"),
        ];
        let all = usual.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let access = parameters(&[
        ("oauth_nonce", "vVTpm09+8Kgvhz3mF0rX/w=="),
        ("oauth_token", "RT1"),
        ("oauth_verifier", "V1"),
    ]);
    let url = "https://api.twitter.com/oauth/access_token";
    for (secret, expected) in
        [("", "gHZqWv3bU6hJMlCqkVC8fli9GdY="), ("RTS1", "QcTRUGL7MXNF+B+C3cWRnY+F+kE=")]
    {
        assert_eq!(signature("POST", url, &access, "csec", secret), expected);
    }
    let profile = parameters(&[
        ("oauth_nonce", "G8eG5FE/hrbmx5zYn5Wjlg=="),
        ("oauth_token", "AT1"),
        ("include_email", "true"),
    ]);
    let url = "https://api.twitter.com/1.1/account/verify_credentials.json";
    let expected = "jGEjxU/t+VMWTq4QB6ys9irk8rU=";
    assert_eq!(signature("GET", url, &profile, "csec", "ATS1"), expected);
    // RFC 5849, 1.2, with the resource owner's photo.
    let photo: Parameters = [
        ("file", "vacation.jpg"),
        ("size", "original"),
        ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
        ("oauth_token", "nnch734d00sl2jdk"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131202"),
        ("oauth_nonce", "chapoH"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let url = "http://photos.example.net/photos";
    let seen = signature("GET", url, &photo, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
    assert_eq!(seen, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
}
