//! Bytes as people write them.

use std::fmt::Write as _;

/// Two small digits a byte.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    for byte in bytes.as_ref() {
        write!(text, "{byte:02x}").expect("strings take everything");
    }
    text
}
