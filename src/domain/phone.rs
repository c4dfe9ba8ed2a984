//! Phone numbers.

/// Whether the text is a number in international form: `+` and up to 15 digits, the first of which
/// is not 0 (E.164). Numbers that are stored already may have another form.
pub fn is_international(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_plus_and_digits() {
        for good in ["+1234567", "+15550001111", "+123456789012345"] {
            assert!(is_international(good), "{good}");
        }
        for bad in [
            "",
            "+",
            "15550001111",
            "+05550001111",
            "+1 5550001111",
            "+123456",
            "+1234567890123456",
            "+1555000111a",
            "+１５５５０００１１１１",
            "+1555\r\n0001111",
        ] {
            assert!(!is_international(bad), "{bad:?}");
        }
    }
}
