//! Whether a body is what it seems: bodies here are taken as they are, without any coding.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Longest name of a coding that is repeated to the client.
const MAX_NAME: usize = 32;

/// The first coding of the body that would have to be undone (RFC 9110 section 8.4).
pub(super) fn foreign_coding(headers: &HeaderMap) -> Option<String> {
    // Almost no request has one.
    headers.get(CONTENT_ENCODING)?;
    let values = headers.get_all(CONTENT_ENCODING).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .find(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
        .map(|name| {
            let letters = name.iter().map(|byte| char::from(*byte)).take(MAX_NAME);
            letters.filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect()
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn coding(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        foreign_coding(&headers)
    }

    #[test]
    fn everything_but_identity_would_have_to_be_undone() {
        for none in [&[][..], &[""], &["identity"], &["Identity, identity"], &["identity", ","]] {
            assert_eq!(coding(none), None, "{none:?}");
        }
        for (values, name) in [
            (&["gzip"][..], "gzip"),
            (&["identity, br"], "br"),
            (&["identity", " x-gzip "], "x-gzip"),
            (&["<script>"], "script"),
        ] {
            assert_eq!(coding(values).as_deref(), Some(name));
        }
    }
}
