//! The pieces that log lines are made of.

use std::cell::Cell;
use std::io::Write as _;
use std::net::IpAddr;

use time::OffsetDateTime;

/// RFC 3339 in UTC with microseconds, e.g. `2026-11-23T22:15:41.000123Z`.
///
/// Date and time of the current second are kept per thread; formatting them costs more than the
/// rest of a line.
pub fn push_time(out: &mut Vec<u8>, now: OffsetDateTime) {
    thread_local! {
        static SECOND: Cell<(i64, [u8; 19])> = const { Cell::new((i64::MIN, [b'0'; 19])) };
    }
    let second = now.unix_timestamp();
    let (known, mut text) = SECOND.get();
    if known != second {
        let (date, clock) = (now.date(), now.time());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, sec) = (clock.hour(), clock.minute(), clock.second());
        // A year of five digits does not fit; then the old text stays, which is harmless.
        let _ =
            write!(&mut text[..], "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{sec:02}");
        SECOND.set((second, text));
    }
    out.extend_from_slice(&text);
    let mut fraction = *b".000000Z";
    let mut micros = now.microsecond();
    for digit in fraction[1..7].iter_mut().rev() {
        *digit = b'0' + u8::try_from(micros % 10).unwrap_or_default();
        micros /= 10;
    }
    out.extend_from_slice(&fraction);
}

/// The number in decimal.
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// The address as it is usually written.
pub fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (at, byte) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                push_number(out, byte.into());
            }
        }
        IpAddr::V6(address) => {
            // Memory takes every write.
            let _ = write!(out, "{address}");
        }
    }
}

/// `Nov 23 22:15:41.123 INFO `, coloured by level.
pub fn push_text_start(out: &mut Vec<u8>, now: OffsetDateTime, level: &str) {
    let month = &now.month().to_string()[..3];
    let colour = match level {
        "ERROR" => 31,
        "WARN" => 33,
        "INFO" => 32,
        _ => 34,
    };
    let _ = write!(
        out,
        "\x1b[2m{month} {:>2} {:02}:{:02}:{:02}.{:03}\x1b[0m \x1b[{colour}m{level:<5}\x1b[0m ",
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.millisecond()
    );
}

/// The text as a JSON string with its quotes.
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    let is_plain = text.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text).expect("a string can be written to memory");
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn text(now: OffsetDateTime) -> String {
        let mut out = Vec::new();
        push_time(&mut out, now);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_have_microseconds_and_follow_the_clock_in_both_directions() {
        assert_eq!(text(datetime!(2026-11-23 22:15:41.000123 UTC)), "2026-11-23T22:15:41.000123Z");
        assert_eq!(text(datetime!(2026-11-23 22:15:41.999999 UTC)), "2026-11-23T22:15:41.999999Z");
        assert_eq!(text(datetime!(2026-11-23 22:15:42 UTC)), "2026-11-23T22:15:42.000000Z");
        assert_eq!(text(datetime!(1999-01-02 03:04:05 UTC)), "1999-01-02T03:04:05.000000Z");
    }

    #[test]
    fn addresses_are_written_as_the_library_writes_them() {
        for address in ["127.0.0.1", "203.0.113.255", "::1", "2001:db8::ff"] {
            let mut out = Vec::new();
            push_address(&mut out, address.parse().unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), address);
        }
    }

    #[test]
    fn strings_are_escaped_when_they_need_it() {
        for input in ["plain é", "a\"b\\c\nd\u{1}"] {
            let mut out = Vec::new();
            push_json_string(&mut out, input);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), input);
        }
    }
}
