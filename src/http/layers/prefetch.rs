//! Requests of browsers that fetch a page before anybody has asked for it.

use http::{HeaderMap, HeaderName};

/// Headers in which browsers and proxies say so, in their present and in their older forms.
const HEADERS: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

/// What they say there; `prerender` and `preview` are pages that nobody has followed a link to either.
const PURPOSES: [&str; 3] = ["prefetch", "prerender", "preview"];

/// Whether nobody has followed the link yet.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    HEADERS
        .iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .any(|word| PURPOSES.iter().any(|purpose| word.trim().eq_ignore_ascii_case(purpose)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn says(name: &'static str, value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        is_prefetch(&headers)
    }

    #[test]
    fn browsers_say_it_in_several_ways() {
        for (name, value) in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("sec-purpose", "prefetch;anonymous-client-ip"),
            ("purpose", "prefetch"),
            ("purpose", "Prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
        ] {
            assert!(says(name, value), "{name}: {value}");
        }
        for (name, value) in
            [("sec-purpose", ""), ("purpose", "navigate"), ("sec-fetch-dest", "prefetch")]
        {
            assert!(!says(name, value), "{name}: {value}");
        }
        assert!(!is_prefetch(&HeaderMap::new()));
    }
}
