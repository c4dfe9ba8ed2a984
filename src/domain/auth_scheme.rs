//! Credentials as the `Authorization` header has them: a scheme, blanks, and what it is about.

/// What `value` has for this scheme, if it is one of it.
///
/// Schemes have no case (RFC 9110 section 11.1), and one blank is as good as several. What comes
/// after them is a single word, or there would be two ways to read it.
pub fn credentials<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let (given, rest) = value.trim_matches(BLANKS).split_at_checked(scheme.len())?;
    if !given.eq_ignore_ascii_case(scheme) || !rest.starts_with(BLANKS) {
        return None;
    }
    let word = rest.trim_start_matches(BLANKS);
    (!word.is_empty() && !word.contains(BLANKS)).then_some(word)
}

/// [`credentials`] of the scheme `Bearer` (RFC 6750).
pub fn bearer_token(value: &str) -> Option<&str> {
    credentials(value, "Bearer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_has_no_case_and_any_number_of_blanks_behind_it() {
        for value in [
            "Bearer abc.def",
            "bearer abc.def",
            "BEARER abc.def",
            "bEaReR abc.def",
            "Bearer  abc.def",
            "Bearer\tabc.def",
            "  Bearer abc.def ",
        ] {
            assert_eq!(bearer_token(value), Some("abc.def"), "{value:?}");
        }
        assert_eq!(credentials("basic YTpi", "Basic"), Some("YTpi"));
    }

    #[test]
    fn anything_else_is_no_token() {
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearerabc",
            "Bearer abc def",
            "Bearer, abc def",
            "Basic abc",
            "abc",
            "Béarer abc",
            "Beareé abc",
        ] {
            assert_eq!(bearer_token(value), None, "{value:?}");
        }
    }
}
