//! JSON for response bodies: compact, safe inside HTML, ended by a line feed.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Serialises a response body: `<`, `>`, `&`, U+2028 and U+2029 are escaped, one line feed ends it.
pub fn body<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Bytes> {
    let mut buffer = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut buffer, HtmlSafe))?;
    buffer.push(b'\n');
    Ok(buffer.into())
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
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let (escape, length): (&[u8], usize) = match byte {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
            0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
            _ => continue,
        };
        writer.write_all(&bytes[written..at])?;
        writer.write_all(escape)?;
        written = at + length;
    }
    writer.write_all(&bytes[written..])
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
    fn escaped_text_reads_back_as_it_was() {
        let text = "<script>&\u{2029}\u{20ac}</script>";
        let got: String = serde_json::from_slice(&body(text).unwrap()).unwrap();
        assert_eq!(got, text);
    }
}
