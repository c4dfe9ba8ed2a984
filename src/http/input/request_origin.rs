//! Reads from a request's headers which page it comes from.

use http::header::{HeaderName, ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue};
use url::Url;

use crate::domain::request_origin::CallingPage;

/// Fetch Metadata Request Headers, 2.4.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Pages cannot set any of these headers; the most they can do is keep `Referer` back.
pub fn calling_page(headers: &HeaderMap) -> CallingPage {
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    if site == Some(b"same-origin") {
        return CallingPage::Own;
    }
    if let Some(origin) = headers.get(ORIGIN) {
        return match origin.to_str() {
            Ok(origin) if origin != "null" => CallingPage::Of(origin.to_owned()),
            _ => CallingPage::Hidden,
        };
    }
    if let Some(referer) = headers.get(REFERER) {
        let origin = referer.to_str().ok().and_then(|url| Some(Url::parse(url).ok()?.origin()));
        return match origin {
            Some(origin) if origin.is_tuple() => CallingPage::Of(origin.ascii_serialization()),
            _ => CallingPage::Hidden,
        };
    }
    match site {
        None | Some(b"none") => CallingPage::None,
        Some(_) => CallingPage::Hidden,
    }
}

#[cfg(test)]
mod tests {
    use crate::http::input::request_origin::*;

    #[test]
    fn headers_tell_the_page() {
        let of = |origin: &str| CallingPage::Of(origin.to_owned());
        for (headers, expected) in [
            (&[][..], CallingPage::None),
            (&[("sec-fetch-site", "none")], CallingPage::None),
            (&[("sec-fetch-site", "cross-site")], CallingPage::Hidden),
            (&[("sec-fetch-site", "same-site")], CallingPage::Hidden),
            (&[("sec-fetch-site", "same-origin")], CallingPage::Own),
            (&[("referer", "https://a.test/x?y")], of("https://a.test")),
            (
                &[("sec-fetch-site", "cross-site"), ("referer", "https://a.test/")],
                of("https://a.test"),
            ),
            (&[("referer", "about:blank")], CallingPage::Hidden),
            (&[("referer", "")], CallingPage::Hidden),
            (&[("origin", "null")], CallingPage::Hidden),
            (&[("origin", "https://a.test"), ("referer", "https://b.test/")], of("https://a.test")),
        ] {
            let map = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect();
            assert_eq!(calling_page(&map), expected, "{headers:?}");
        }
    }
}
