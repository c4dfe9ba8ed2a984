//! What holds for every text that is taken for a connection string.

use secrecy::SecretString;

use super::{ConnectionString, ConnectionStringError};

/// Characters that no text of ours has, so that a part of the input in a message is found.
const MARK: &str = "\u{16a0}\u{16a1}";

/// Panics if a text panics the parser, or if a message shows any of it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text);
    // The password's place may be anywhere that a character is.
    let at = data.first().map_or(0, |byte| usize::from(*byte) % (text.len() + 1));
    if text.is_char_boundary(at) {
        check(&format!("{}{MARK}{}", &text[..at], &text[at..]));
    }
}

fn check(text: &str) {
    match ConnectionString::parse(&SecretString::from(text)) {
        Ok(parsed) => {
            for (name, value) in parsed.session.pairs() {
                assert!(!name.is_empty() && !name.contains('\0') && !value.contains('\0'));
            }
        }
        // Files are named, and are not looked at here.
        Err(error) => {
            assert!(!matches!(error, ConnectionStringError::File { .. }));
            assert!(!error.to_string().contains(['\u{16a0}', '\u{16a1}']), "{error}");
        }
    }
}
