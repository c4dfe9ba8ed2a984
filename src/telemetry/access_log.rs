//! One log line per request, put together by hand: it is written at every refresh.

use std::cell::RefCell;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use crate::domain::clock::Clock;
use crate::telemetry::line;
use crate::telemetry::writer::LogWriter;

/// Longest path in a line; real routes are far shorter.
const MAX_PATH: usize = 256;

/// Where the lines go; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    writer: Option<LogWriter>,
    text: bool,
    clock: Clock,
}

/// What is known about a request that is over; no query string, which may carry tickets.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    pub request_id: &'a str,
    pub trace_id: &'a str,
    pub client_ip: IpAddr,
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub latency: Duration,
}

impl AccessLog {
    /// Lines as text or JSON (`AUTH_LOG_FORMAT_TEXT`).
    pub fn new(writer: LogWriter, text: bool, clock: Clock) -> Self {
        Self { writer: Some(writer), text, clock }
    }

    /// Keeps nothing; for tests and benchmarks of other things.
    pub fn disabled() -> Self {
        Self { writer: None, text: false, clock: Clock::system() }
    }

    /// Queues one line; a full queue drops it rather than delay the request.
    pub fn write(&self, line: &AccessLine<'_>) {
        thread_local! {
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(1_024));
        }
        let Some(writer) = &self.writer else { return };
        BUFFER.with_borrow_mut(|buffer| {
            buffer.clear();
            if self.text {
                self.text(buffer, line);
            } else {
                self.json(buffer, line);
            }
            writer.write(buffer);
        });
    }

    fn json(&self, out: &mut Vec<u8>, line: &AccessLine<'_>) {
        out.extend_from_slice(b"{\"time\":\"");
        line::push_time(out, self.clock.now());
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(level(line.status).as_bytes());
        out.extend_from_slice(b"\",\"msg\":\"call completed\",\"trace\":{\"trace_id\":\"");
        out.extend_from_slice(line.trace_id.as_bytes());
        out.extend_from_slice(b"\"},\"request\":{\"id\":\"");
        out.extend_from_slice(line.request_id.as_bytes());
        out.extend_from_slice(b"\",\"client_ip\":\"");
        line::push_address(out, line.client_ip);
        out.extend_from_slice(b"\",\"method\":\"");
        out.extend_from_slice(line.method.as_bytes());
        out.extend_from_slice(b"\",\"url\":");
        line::push_json_string(out, shortened(line.path));
        out.extend_from_slice(b"},\"response\":{\"status_code\":");
        line::push_number(out, line.status.into());
        out.extend_from_slice(b",\"latency_us\":");
        line::push_number(out, u64::try_from(line.latency.as_micros()).unwrap_or(u64::MAX));
        out.extend_from_slice(b"}}\n");
    }

    fn text(&self, out: &mut Vec<u8>, line: &AccessLine<'_>) {
        line::push_text_start(out, self.clock.now(), level(line.status));
        let _ = write!(out, "call completed method={} url=", line.method);
        line::push_json_string(out, shortened(line.path));
        let _ = writeln!(
            out,
            " status_code={} latency_us={} client_ip={} request_id={} trace_id={}",
            line.status,
            line.latency.as_micros(),
            line.client_ip,
            line.request_id,
            line.trace_id
        );
    }
}

/// Overload is expected to pass and is a warning; other failures of ours are errors.
const fn level(status: u16) -> &'static str {
    match status {
        503 => "WARN",
        500.. => "ERROR",
        _ => "INFO",
    }
}

fn shortened(path: &str) -> &str {
    &path[..path.floor_char_boundary(MAX_PATH)]
}

#[cfg(test)]
mod tests {
    use crate::telemetry::access_log::*;

    const LINE: AccessLine<'static> = AccessLine {
        request_id: "r-1",
        trace_id: "t-1",
        client_ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        method: "POST",
        path: "/to\"ken",
        status: 503,
        latency: Duration::from_micros(1_234),
    };

    #[test]
    fn a_line_is_one_json_object_with_the_members_of_the_reference() {
        let mut out = Vec::new();
        AccessLog::disabled().json(&mut out, &LINE);
        assert_eq!(out.last(), Some(&b'\n'));
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["level"], "WARN");
        assert_eq!(value["msg"], "call completed");
        assert_eq!(value["trace"]["trace_id"], "t-1");
        assert_eq!(value["request"]["client_ip"], "127.0.0.1");
        assert_eq!(value["request"]["id"], "r-1");
        assert_eq!(value["request"]["method"], "POST");
        assert_eq!(value["request"]["url"], "/to\"ken");
        assert_eq!(value["response"]["status_code"], 503);
        assert_eq!(value["response"]["latency_us"], 1_234);
    }

    #[test]
    fn a_line_of_text_has_the_same_facts() {
        let mut out = Vec::new();
        AccessLog::disabled().text(&mut out, &LINE);
        let text = String::from_utf8(out).unwrap();
        for fact in ["WARN", "call completed", "POST", "status_code=503", "r-1", "latency_us=1234"]
        {
            assert!(text.contains(fact), "{text}");
        }
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn a_path_without_end_is_cut() {
        assert_eq!(shortened(&"é".repeat(300)).len(), MAX_PATH);
    }
}
