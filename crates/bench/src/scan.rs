//! Finds one string member of a JSON object without building a tree.
//!
//! The load generator does this once per response; a full parse would cost more than the request.

/// The raw text of string member `key` of the outermost object, if it has no escapes.
///
/// Members of inner objects are not seen, so that what a user stored in `metadata` cannot be taken
/// for the token. Malformed JSON gives `None` or, behind the member, is not noticed.
pub fn top_level_string<'a>(json: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let (text, after) = string(json, at)?;
                at = after;
                if depth == 1 {
                    let colon = skip_space(json, at);
                    if json.get(colon) == Some(&b':') && text == key.as_bytes() {
                        let (value, _) = string(json, skip_space(json, colon + 1))?;
                        return (!value.contains(&b'\\')).then_some(value);
                    }
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The text between the quotes of the string that starts at `at`, and the place after it.
fn string(json: &[u8], at: usize) -> Option<(&[u8], usize)> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let start = at + 1;
    let mut end = start;
    loop {
        match json.get(end)? {
            b'"' => return Some((&json[start..end], end + 1)),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

fn skip_space(json: &[u8], at: usize) -> usize {
    let rest = json.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(json: &str) -> Option<String> {
        top_level_string(json.as_bytes(), "refreshToken")
            .map(|found| String::from_utf8(found.to_vec()).unwrap())
    }

    #[test]
    fn the_token_is_found_wherever_it_stands() {
        let want = Some("abc".to_owned());
        assert_eq!(token(r#"{"refreshToken":"abc"}"#), want);
        assert_eq!(token(" { \"a\" : [1, {\"b\":2}],\n \"refreshToken\" :\t\"abc\" } "), want);
        assert_eq!(token(r#"{"refreshTokenId":"x","refreshToken":"abc"}"#), want);
    }

    #[test]
    fn values_inner_objects_and_escapes_do_not_mislead() {
        let user = r#"{"user":{"metadata":{"refreshToken":"evil"}},"refreshToken":"abc"}"#;
        assert_eq!(token(user), Some("abc".to_owned()));
        let value =
            r#"{"name":"refreshToken","x":"\"refreshToken\":\"evil\"","refreshToken":"abc"}"#;
        assert_eq!(token(value), Some("abc".to_owned()));
        assert_eq!(token(r#"{"session":{"refreshToken":"abc"}}"#), None);
        assert_eq!(token(r#"{"refreshToken":"a\u0062c"}"#), None);
    }

    #[test]
    fn broken_json_gives_nothing_and_no_panic() {
        let whole = r#"{"a":"\\","refreshToken":"abc"}"#;
        for end in 0..whole.len() - 2 {
            assert_eq!(token(&whole[..end]), None, "{}", &whole[..end]);
        }
        for odd in ["", "}", "]]", "\"", "null", r#"{"refreshToken":null}"#, r#"{"refreshToken""#] {
            assert_eq!(token(odd), None);
        }
    }
}
