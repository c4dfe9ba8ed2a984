//! The languages that a browser asks for.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// Most languages that are looked at; browsers send a handful.
const MOST: usize = 16;

/// Two or three letters each, the most wanted first (RFC 9110 section 12.5.4).
///
/// Variants of countries count as their language. Browsers send them in order, so the order among
/// equal weights stays.
pub fn languages(headers: &HeaderMap) -> Vec<&str> {
    let mut wanted: Vec<(&str, f32)> = headers
        .get_all(ACCEPT_LANGUAGE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(language_and_weight)
        .take(MOST)
        .collect();
    wanted.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    wanted.into_iter().map(|(language, _)| language).collect()
}

/// `None` for what is not wanted, and for what is none.
fn language_and_weight(element: &str) -> Option<(&str, f32)> {
    let mut parts = element.split(';').map(str::trim);
    let language = parts.next()?.split('-').next()?;
    let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
    let weight: f32 = weight.ok().filter(|weight| *weight > 0.0)?;
    let is_language =
        matches!(language.len(), 2 | 3) && language.bytes().all(|byte| byte.is_ascii_lowercase());
    is_language.then_some((language, weight))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_most_wanted_comes_first() {
        for (value, wanted) in [
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", &["fr", "fr", "en", "de"][..]),
            ("en;q=0.2,bg", &["bg", "en"]),
            ("es;q=0, cs ; q=0.3", &["cs"]),
            ("es;q=x,<b>,,EN,toolong", &[]),
            ("", &[]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(value));
            assert_eq!(languages(&headers), wanted, "{value}");
        }
        assert!(languages(&HeaderMap::new()).is_empty());
    }
}
