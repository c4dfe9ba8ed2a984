//! Request ids: accepted from the client when they are sane, made here otherwise.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header that carries the id in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const MAX_LENGTH: usize = 128;

/// Names one request in logs and in the `X-Request-Id` header; never a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The client's id if it sent one that is safe to log and to echo, else a fresh one.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        sane(headers, &X_REQUEST_ID).map_or_else(Self::fresh, |value| Self(value.clone()))
    }

    /// An id that no other request of any node has.
    ///
    /// A random start per process and a counter give that without asking the kernel for random
    /// bytes at each request; nothing relies on these ids being hard to guess.
    pub fn fresh() -> Self {
        static START: LazyLock<(u64, u64)> = LazyLock::new(|| Uuid::new_v4().as_u64_pair());
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let (high, low) = *START;
        let bytes = (u128::from(mix(high.wrapping_add(n))) << 64) | u128::from(mix(low ^ n));
        let id = uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid();
        let mut buffer = Uuid::encode_buffer();
        let text = id.hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("hexadecimal digits and hyphens are allowed"))
    }

    /// As text; visible ASCII without quotes or backslashes.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the value of a response header.
    pub fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The header's value if it may be copied into logs and responses as it is.
pub(crate) fn sane<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let value = headers.get(name)?;
    let bytes = value.as_bytes();
    let is_sane = (1..=MAX_LENGTH).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b));
    is_sane.then_some(value)
}

/// The finaliser of `SplitMix64`: a bijection, so distinct counts stay distinct.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use crate::http::message::request_id::*;

    fn from_client(value: &'static [u8]) -> RequestId {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        RequestId::from_headers(&headers)
    }

    #[test]
    fn a_sane_id_of_the_client_is_kept() {
        assert_eq!(from_client(b"trace-1.a:b/c+d=").as_str(), "trace-1.a:b/c+d=");
    }

    #[test]
    fn an_id_that_could_forge_log_lines_is_replaced() {
        for bad in [&b""[..], b"a b", b"a\"b", b"a\\b", "\u{e9}".as_bytes(), &[b'a'; 129]] {
            let id = RequestId::from_headers(&{
                let mut headers = HeaderMap::new();
                headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(bad).unwrap());
                headers
            });
            assert_eq!(id.as_str().len(), 36, "{bad:?}");
        }
    }

    #[test]
    fn fresh_ids_are_distinct_uuids() {
        let ids: std::collections::HashSet<_> =
            (0..10_000).map(|_| RequestId::fresh().to_string()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| Uuid::parse_str(id).is_ok()));
    }
}
