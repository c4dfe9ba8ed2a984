//! Reads from a request's headers which page it comes from.

use http::header::{HeaderName, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::domain::request_origin::RequestOrigin;

/// Fetch Metadata Request Headers, 2.4.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Pages cannot set any of these headers; the most they can do is keep `Referer` back.
pub fn request_origin(headers: &HeaderMap) -> RequestOrigin {
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    if site == Some(b"same-origin") {
        return RequestOrigin::Own;
    }
    if let Some(origin) = headers.get(ORIGIN) {
        return match origin.to_str() {
            Ok(origin) if origin != "null" => RequestOrigin::Of(origin.to_owned()),
            _ => RequestOrigin::Hidden,
        };
    }
    if let Some(referer) = headers.get(REFERER) {
        let origin = referer.to_str().ok().and_then(|url| Some(Url::parse(url).ok()?.origin()));
        return match origin {
            Some(origin) if origin.is_tuple() => RequestOrigin::Of(origin.ascii_serialization()),
            _ => RequestOrigin::Hidden,
        };
    }
    match site {
        None => RequestOrigin::Unknown,
        Some(b"none") => RequestOrigin::None,
        Some(_) => RequestOrigin::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use crate::http::input::request_origin::*;

    #[test]
    fn headers_tell_the_page() {
        let of = |origin: &str| RequestOrigin::Of(origin.to_owned());
        for (headers, expected) in [
            (&[][..], RequestOrigin::Unknown),
            (&[("sec-fetch-site", "none")], RequestOrigin::None),
            (&[("sec-fetch-site", "cross-site")], RequestOrigin::Hidden),
            (&[("sec-fetch-site", "same-site")], RequestOrigin::Hidden),
            (&[("sec-fetch-site", "same-origin")], RequestOrigin::Own),
            (&[("referer", "https://a.test/x?y")], of("https://a.test")),
            (
                &[("sec-fetch-site", "cross-site"), ("referer", "https://a.test/")],
                of("https://a.test"),
            ),
            (&[("referer", "about:blank")], RequestOrigin::Hidden),
            (&[("referer", "")], RequestOrigin::Hidden),
            (&[("origin", "null")], RequestOrigin::Hidden),
            (&[("origin", "https://a.test"), ("referer", "https://b.test/")], of("https://a.test")),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            assert_eq!(request_origin(&map), expected, "{headers:?}");
        }
    }
}
