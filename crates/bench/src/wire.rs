//! One keep-alive HTTP/1.1 connection, written and read by hand: one write and one read a request.
//!
//! The load generator shares the cores with the server, and a client library costs as much as the
//! server that is measured.

use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest response that is read, with its head.
const MAX_RESPONSE: usize = 256 * 1_024;
/// Larger than the responses that are measured: a read that does not fill it proves that nothing is
/// left, which saves asking the kernel again.
const FIRST_READ: usize = 16 * 1_024;
/// Most headers of a response.
const MAX_HEADERS: usize = 64;

/// Why there is no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Connect,
    /// Cut or broken in the middle.
    Connection,
    TimedOut,
    TooLong,
}

impl Failure {
    /// The kind in the report.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Connection => "connection broken",
            Self::TimedOut => "time-out",
            // Programs that read the JSON know it by this name.
            Self::TooLong => "answer too long",
        }
    }
}

/// A connection with what was read from it.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of the input is the last response.
    filled: usize,
}

/// Status and connection state of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    pub status: StatusCode,
    /// Whether the connection can take another request.
    pub is_reusable: bool,
}

impl Wire {
    /// Takes over a fresh connection.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, input: vec![0; FIRST_READ], filled: 0 }
    }

    /// Sends a whole request and reads the whole response, whose body replaces that in `body`.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        body: &mut Vec<u8>,
    ) -> Result<ResponseHead, Failure> {
        self.stream.write_all(request).await.map_err(|_cut| Failure::Connection)?;
        let mut filled = 0;
        loop {
            if filled == self.input.len() {
                if filled >= MAX_RESPONSE {
                    return Err(Failure::TooLong);
                }
                self.input.resize(filled * 2, 0);
            }
            let read = self.stream.read(&mut self.input[filled..]).await;
            let read = read.map_err(|_cut| Failure::Connection)?;
            filled += read;
            if let Some(head) = read_response(&self.input[..filled], read == 0, body)? {
                self.filled = filled;
                return Ok(head);
            }
            if read == 0 {
                return Err(Failure::Connection);
            }
        }
    }

    /// A header of the last response; read again, since few need one.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        head.parse(&self.input[..self.filled]).ok()?;
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    }
}

/// The response in `input`, if it is complete; `ended` says that nothing follows.
fn read_response(
    input: &[u8],
    ended: bool,
    body: &mut Vec<u8>,
) -> Result<Option<ResponseHead>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let parsed = head.parse(input).map_err(|_broken| Failure::Connection)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let rest = &input[length..];
    let status = head.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Failure::Connection)?;
    let mut frame = Frame::new(head.version == Some(1));
    for header in head.headers.iter() {
        frame.note(header)?;
    }
    body.clear();
    let taken = if frame.is_chunked {
        let Some(taken) = chunks(rest, body)? else { return Ok(None) };
        taken
    } else if let Some(length) = frame.length.or(has_no_body(status).then_some(0)) {
        if length > MAX_RESPONSE {
            return Err(Failure::TooLong);
        }
        let Some(whole) = rest.get(..length) else { return Ok(None) };
        body.extend_from_slice(whole);
        length
    } else {
        if !ended {
            return Ok(None);
        }
        body.extend_from_slice(rest);
        frame.is_kept = false;
        rest.len()
    };
    // What follows the response belongs to no request.
    let is_reusable = frame.is_kept && !ended && taken == rest.len();
    Ok(Some(ResponseHead { status, is_reusable }))
}

/// How the body is delimited (RFC 9112, 6.3).
struct Frame {
    length: Option<usize>,
    is_chunked: bool,
    is_kept: bool,
}

impl Frame {
    const fn new(is_kept: bool) -> Self {
        Self { length: None, is_chunked: false, is_kept }
    }

    fn note(&mut self, header: &httparse::Header<'_>) -> Result<(), Failure> {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.length = Some(length.ok_or(Failure::Connection)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            self.is_chunked = value.eq_ignore_ascii_case(b"chunked");
        } else if header.name.eq_ignore_ascii_case("connection") {
            self.is_kept &= !value.eq_ignore_ascii_case(b"close");
        }
        Ok(())
    }
}

fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

/// Puts the chunks together; returns their length, or `None` if the last is not there yet.
fn chunks(input: &[u8], body: &mut Vec<u8>) -> Result<Option<usize>, Failure> {
    let mut at = 0;
    loop {
        let size = httparse::parse_chunk_size(&input[at..]).map_err(|_bad| Failure::Connection)?;
        let httparse::Status::Complete((start, size)) = size else { return Ok(None) };
        let size = usize::try_from(size).ok().filter(|&size| size <= MAX_RESPONSE);
        let size = size.ok_or(Failure::TooLong)?;
        at += start;
        let Some(chunk) = input.get(at..at + size + 2) else { return Ok(None) };
        // A last chunk with trailers is not understood; no server here sends any.
        if !chunk.ends_with(b"\r\n") {
            return Err(Failure::Connection);
        }
        body.extend_from_slice(&chunk[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, whether the connection is reusable, and body.
    type Read = Result<Option<(u16, bool, String)>, Failure>;

    fn read(input: &str, ended: bool) -> Read {
        let mut body = Vec::new();
        let head = read_response(input.as_bytes(), ended, &mut body)?;
        let body = String::from_utf8(body).unwrap();
        Ok(head.map(|head| (head.status.as_u16(), head.is_reusable, body)))
    }

    fn is_done(read: &Read, status: u16, reusable: bool, body: &str) -> bool {
        *read == Ok(Some((status, reusable, body.to_owned())))
    }

    #[test]
    fn a_body_of_known_length_is_complete_when_all_of_it_is_there() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
        assert!(is_done(&read(text, false), 200, true, "OK"));
        for end in 0..text.len() {
            assert_eq!(read(&text[..end], false), Ok(None), "{end}");
        }
        assert!(is_done(&read(&format!("{text}x"), false), 200, false, "OK"));
    }

    #[test]
    fn chunks_are_put_together() {
        let text =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        assert!(is_done(&read(text, false), 200, true, "abc"));
        for end in 0..text.len() {
            assert_eq!(read(&text[..end], false), Ok(None), "{end}");
        }
    }

    #[test]
    fn a_body_without_length_ends_with_the_connection() {
        let text = "HTTP/1.0 500 no\r\n\r\nwhy";
        assert_eq!(read(text, false), Ok(None));
        assert!(is_done(&read(text, true), 500, false, "why"));
        assert!(is_done(&read("HTTP/1.1 204 no\r\n\r\n", false), 204, true, ""));
        let closing = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert!(is_done(&read(closing, false), 200, false, ""));
    }

    #[test]
    fn nonsense_is_a_broken_connection_and_too_much_is_refused() {
        assert_eq!(read("SSH-2.0\r\n\r\n", false), Err(Failure::Connection));
        let length = "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n";
        assert_eq!(read(length, false), Err(Failure::Connection));
        let long = "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n";
        assert_eq!(read(long, false), Err(Failure::TooLong));
        let chunk = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n";
        assert_eq!(read(chunk, false), Err(Failure::TooLong));
    }
}
