//! JSON for response bodies: compact, safe inside HTML, ended by a line feed.

use std::io;

use bytes::Bytes;
use memchr::{memchr, memchr3};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::value::RawValue;

/// First byte of U+2028 and U+2029, which end a line in scripts.
const FIRST_OF_SEPARATORS: u8 = 0xe2;
/// A session fits, so that its buffer need not grow.
const USUAL_BYTES: usize = 2_048;

/// Serialises a response body: `<`, `>`, `&`, U+2028 and U+2029 are escaped, one line feed ends it.
pub fn body<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Bytes> {
    let mut buffer = Vec::with_capacity(USUAL_BYTES);
    value.serialize(&mut Serializer::with_formatter(&mut buffer, HtmlSafe))?;
    buffer.push(b'\n');
    Ok(buffer.into())
}

/// The same text as a part of other bodies, which it goes into as it is.
pub fn raw<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Box<RawValue>> {
    let mut buffer = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut buffer, HtmlSafe))?;
    let text = String::from_utf8(buffer).map_err(serde::ser::Error::custom)?;
    RawValue::from_string(text)
}

/// JSON text without the byte order mark that some programs write before it (RFC 8259 section 8.1).
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Compact JSON without characters that mean something to an HTML parser.
struct HtmlSafe;

impl Formatter for HtmlSafe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_escaped(writer, fragment)
    }

    /// Raw JSON too: outside strings none of these characters can occur.
    fn write_raw_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_escaped(writer, fragment)
    }
}

fn write_escaped<W: ?Sized + io::Write>(writer: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text.as_bytes();
    // Almost no text has any of them, so the search is what counts.
    while let Some(at) = find_special(rest) {
        let (escape, length): (&[u8], usize) = match rest[at] {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            _ if rest[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            _ if rest[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            // Another character that begins with the same byte.
            _ => (&rest[at..=at], 1),
        };
        writer.write_all(&rest[..at])?;
        writer.write_all(escape)?;
        rest = &rest[at + length..];
    }
    writer.write_all(rest)
}

/// The first byte that begins a character to escape, or one that looks like it.
fn find_special(bytes: &[u8]) -> Option<usize> {
    let of_html = memchr3(b'<', b'>', b'&', bytes);
    let before = of_html.map_or(bytes, |at| &bytes[..at]);
    memchr(FIRST_OF_SEPARATORS, before).or(of_html)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn characters_of_html_are_escaped_in_keys_strings_and_raw_values() {
        let raw = RawValue::from_string(r#"{"a":"<b>"}"#.to_owned()).unwrap();
        let got = body(&(json!({"<k>": "x & \u{2028}\"y\"\u{2029}é"}), raw)).unwrap();
        assert_eq!(
            std::str::from_utf8(&got).unwrap(),
            "[{\"\\u003ck\\u003e\":\"x \\u0026 \\u2028\\\"y\\\"\\u2029é\"},{\"a\":\"\\u003cb\\u003e\"}]\n"
        );
    }

    #[test]
    fn a_part_is_escaped_once() {
        let part = raw(&json!({"a": "<&>"})).unwrap();
        assert_eq!(part.get(), r#"{"a":"\u003c\u0026\u003e"}"#);
        assert_eq!(body(&part).unwrap(), format!("{}\n", part.get()));
    }

    #[test]
    fn escaped_text_reads_back_as_it_was() {
        let text = "<script>&\u{2029}\u{20ac}</script>";
        let got: String = serde_json::from_slice(&body(text).unwrap()).unwrap();
        assert_eq!(got, text);
    }
}
