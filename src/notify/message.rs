//! The mail as bytes: headers, body, and the link in it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::SystemTime;

use lettre::Address;
use lettre::message::header::{Date, Header, HeaderName, HeaderValue, Headers, Subject};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use secrecy::ExposeSecret;
use url::form_urlencoded;
use url::{Host, Url};

use crate::domain::mail::OutboxMessage;
use crate::notify::rendered::Rendered;

/// RFC 5322 allows 998 octets a line; relays refuse or break longer ones.
const MAX_HEADER_LINE: usize = 998;

/// The link that a mail leads to: the server's URL with `verify` joined to its path.
///
/// The query is form-encoded and sorted by name; what the server's URL had in its query stays.
pub fn mail_link(server_url: &Url, link_type: &str, ticket: &str, redirect_to: &str) -> String {
    let mut link = server_url.clone();
    let mut path: String = link
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |p, s| p + "/" + s);
    path.push_str("/verify");
    link.set_path(&path);

    let mut query: Vec<(String, String)> = link.query_pairs().into_owned().collect();
    for (name, value) in [("redirectTo", redirect_to), ("ticket", ticket), ("type", link_type)] {
        query.push((name.to_owned(), value.to_owned()));
    }
    query.sort_by(|a, b| a.0.cmp(&b.0));
    let query: Vec<String> = query
        .iter()
        .map(|(name, value)| format!("{}={}", form_encode(name), form_encode(value)))
        .collect();
    link.set_query(Some(&query.join("&")));
    link.to_string()
}

/// A URL as operators write it where it is a bare host; the type of URLs insists on the path `/`.
pub fn without_slash(url: &Url) -> String {
    let url = url.as_str();
    url.strip_suffix('/').unwrap_or(url).to_owned()
}

/// Form encoding as existing clients and tests know it: `~` is kept, `*` is not.
fn form_encode(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('*', "%2A").replace("%7E", "~")
}

/// Without control characters, line separators included: they would start a new header.
pub fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')).collect()
}

/// The headers that end-to-end tests of clients read, with their exact values.
///
/// A character outside ASCII (only a redirect URL can have one) is percent-encoded, which is the
/// same URL. A value too long for a header line is left out; the body has it.
pub fn x_headers(message: &OutboxMessage) -> Vec<(&'static str, String)> {
    let variables = &message.variables;
    let values = [
        ("X-Ticket", variables.ticket.expose_secret()),
        ("X-Redirect-To", &variables.redirect_to),
        ("X-Email-Template", message.template.name()),
        ("X-Link", variables.link.expose_secret()),
    ];
    values
        .into_iter()
        .map(|(name, value)| (name, percent_encode_non_ascii(&one_line(value))))
        .filter(|(name, value)| name.len() + 2 + value.len() <= MAX_HEADER_LINE)
        .collect()
}

fn percent_encode_non_ascii(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            encoded.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// `X-SMTPAPI` is JSON, so that what is not ASCII can be escaped.
fn json_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

/// The address in `Name <address>`: between the first `<` and the first `>` after it, else all.
pub fn envelope_address(text: &str) -> &str {
    text.split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(text, |(address, _)| address)
}

/// The address with its domain as the mail system knows it (RFC 5890); what is no domain stays.
pub fn with_ascii_domain(address: &str) -> Cow<'_, str> {
    let ascii = address.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii()).and_then(
        |(local, domain)| match Host::parse(domain) {
            Ok(Host::Domain(domain)) => Some(format!("{local}@{domain}")),
            _ => None,
        },
    );
    ascii.map_or(Cow::Borrowed(address), Cow::Owned)
}

/// `AUTH_SMTP_SENDER`, checked: one mailbox, written by the library of mails.
#[derive(Clone, Debug)]
pub struct Sender {
    mailbox: Mailbox,
    text: String,
    header: String,
}

impl Sender {
    /// `None` for what is not one address, with or without a name.
    ///
    /// The name is taken as people write it: with commas and brackets, in quotes or not.
    pub fn parse(configured: &str) -> Option<Self> {
        if one_line(configured) != configured {
            return None;
        }
        let address = envelope_address(configured).trim();
        // In brackets or quotes the library takes them, and not every reader does.
        if address.contains(|c: char| c.is_whitespace() || ",;<>()\"\\".contains(c)) {
            return None;
        }
        let (local, domain) = address.rsplit_once('@')?;
        let domain = with_ascii_domain(address)
            .rsplit_once('@')
            .map_or_else(|| domain.to_owned(), |(_, domain)| domain.to_owned());
        let name = configured.split_once('<').filter(|(_, rest)| rest.contains('>'));
        let name = name.map(|(name, _)| unquoted(name)).filter(|name| !name.is_empty());
        let mailbox = Mailbox::new(name, Address::new(local, domain).ok()?);
        let text = mailbox.to_string();
        let header = if text.is_ascii() {
            text.clone()
        } else {
            let from = lettre::message::header::From::from(Mailboxes::from(mailbox.clone()));
            let mut headers = Headers::new();
            headers.set(from);
            headers.to_string().strip_prefix("From: ")?.trim_end().to_owned()
        };
        Some(Self { mailbox, text, header })
    }

    /// For `MAIL FROM`.
    pub fn address(&self) -> &str {
        self.mailbox.email.as_ref()
    }

    /// For those who encode it themselves.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// For the `From` header.
    pub fn header(&self) -> &str {
        &self.header
    }

    fn domain(&self) -> &str {
        let domain = self.mailbox.email.domain();
        if domain.is_ascii() { domain } else { "localhost" }
    }
}

/// A name without the quotes that may be around it, and what they protect.
fn unquoted(name: &str) -> String {
    let name = name.trim();
    let Some(inner) = name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}

/// The whole message with CRLF line ends, without dot-stuffing; ASCII unless an address is not.
pub fn build(
    message: &OutboxMessage,
    rendered: &Rendered,
    sender: &Sender,
    smtpapi_header: &str,
) -> Vec<u8> {
    let mut headers = Headers::new();
    if !smtpapi_header.is_empty() {
        raw(&mut headers, "X-SMTPAPI", json_ascii(&one_line(smtpapi_header)));
    }
    for (name, value) in x_headers(message) {
        raw(&mut headers, name, value);
    }
    raw(&mut headers, "From", sender.header.clone());
    raw(&mut headers, "To", with_ascii_domain(&one_line(&message.recipient)).into_owned());
    headers.set(Date::new(SystemTime::from(message.created_at)));
    // The same for every attempt, so that a mail that was delivered twice is shown once.
    raw(&mut headers, "Message-ID", format!("<{}@{}>", message.id, sender.domain()));
    headers.insert_raw(HeaderValue::new(Subject::name(), one_line(&rendered.subject)));
    raw(&mut headers, "MIME-Version", "1.0".to_owned());

    let html = SinglePart::html(rendered.html.clone());
    let body = match &rendered.text {
        Some(text) => MultiPart::alternative()
            .singlepart(SinglePart::plain(text.clone()))
            .singlepart(html)
            .formatted(),
        None => html.formatted(),
    };
    let mut bytes = headers.to_string().into_bytes();
    bytes.extend_from_slice(&body);
    bytes
}

/// A header on one line: catchers that do not unfold must still see the exact value.
fn raw(headers: &mut Headers, name: &'static str, value: String) {
    let name = HeaderName::new_from_ascii_str(name);
    headers.insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
}

/// A time in UTC, the same in all languages.
pub fn in_words(time: time::OffsetDateTime) -> String {
    let time = time.to_offset(time::UtcOffset::UTC);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute) = (time.hour(), time.minute());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_joins_the_path_and_sorts_the_query() {
        let cases = [
            ("http://localhost:4000", "http://localhost:4000/verify?"),
            ("http://localhost:4000/", "http://localhost:4000/verify?"),
            ("https://auth.example.com/v1", "https://auth.example.com/v1/verify?"),
            ("https://auth.example.com//v1//", "https://auth.example.com/v1/verify?"),
            ("https://a.example.com/x?a=1&z=2%203", "https://a.example.com/x/verify?a=1&"),
        ];
        for (server, start) in cases {
            let link = mail_link(
                &server.parse().unwrap(),
                "emailVerify",
                "verifyEmail:e1b3",
                "http://localhost:3000",
            );
            let query = "redirectTo=http%3A%2F%2Flocalhost%3A3000&ticket=verifyEmail%3Ae1b3&type=emailVerify";
            let end = if server.contains("z=2") { "&z=2+3" } else { "" };
            assert_eq!(link, format!("{start}{query}{end}"));
        }
    }

    #[test]
    fn the_link_encodes_like_a_form() {
        let link = mail_link(
            &"https://a.example.com".parse().unwrap(),
            "t",
            "x",
            "https://b.example.com/ä b~c*d?e=f&g=h#i\r\nX: y",
        );
        assert_eq!(
            link,
            "https://a.example.com/verify?redirectTo=https%3A%2F%2Fb.example.com%2F%C3%A4+b~c%2Ad\
             %3Fe%3Df%26g%3Dh%23i%0D%0AX%3A+y&ticket=x&type=t"
        );
    }

    #[test]
    fn envelope_addresses_follow_the_contract() {
        for (text, address) in [
            ("user@example.com", "user@example.com"),
            ("Test User <user@example.com>", "user@example.com"),
            ("Test User <user@example.com", "Test User <user@example.com"),
            ("Test (User) <user@example.com>", "user@example.com"),
            ("user1@example.com, user2@example.com", "user1@example.com, user2@example.com"),
            ("John Doe, Jr. <john.doe.jr@example.com>", "john.doe.jr@example.com"),
            ("\"John Doe\" <john@example.com>", "john@example.com"),
            ("a > b <c@d>", "c@d"),
            ("not an email", "not an email"),
        ] {
            assert_eq!(envelope_address(text), address);
        }
    }

    #[test]
    fn a_sender_that_would_break_its_header_is_refused() {
        assert!(Sender::parse("").is_none());
        assert!(Sender::parse("a@b\r\nBcc: c@d").is_none());
        assert_eq!(Sender::parse("admin@localhost").unwrap().address(), "admin@localhost");
        assert!(Sender::parse("a@example.com, b@example.com").is_none());
        let sender = Sender::parse("Zoë <zoe@example.com>").unwrap();
        assert!(sender.header().is_ascii() && sender.header().ends_with("<zoe@example.com>"));
        assert_eq!(sender.address(), "zoe@example.com");
    }

    #[test]
    fn a_sender_is_one_mailbox_whatever_is_in_its_name_and_its_domain() {
        for (configured, header, address) in [
            ("Acme, Inc. <a@b.example>", "\"Acme, Inc.\" <a@b.example>", "a@b.example"),
            ("\"Acme, Inc.\" <a@b.example>", "\"Acme, Inc.\" <a@b.example>", "a@b.example"),
            (
                "Keywright <no-reply@b.example>",
                "Keywright <no-reply@b.example>",
                "no-reply@b.example",
            ),
            ("a@b.example", "a@b.example", "a@b.example"),
            ("<a@b.example>", "a@b.example", "a@b.example"),
            ("a@b\u{fc}cher.example", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
            (
                "Shop <a@B\u{dc}CHER.example>",
                "Shop <a@xn--bcher-kva.example>",
                "a@xn--bcher-kva.example",
            ),
            ("Acme (Mail) <a@b.example>", "\"Acme (Mail)\" <a@b.example>", "a@b.example"),
        ] {
            let sender = Sender::parse(configured).unwrap_or_else(|| panic!("{configured}"));
            assert_eq!((sender.header(), sender.address()), (header, address), "{configured}");
            let message = format!("From: {}\r\n\r\n", sender.header());
            let parsed = mail_parser::MessageParser::default().parse(&message).unwrap();
            let from: Vec<_> = parsed.from().unwrap().iter().collect();
            assert_eq!(from.len(), 1, "{configured}: {from:?}");
            assert_eq!(from[0].address.as_deref(), Some(address));
        }
        assert_eq!(
            with_ascii_domain("j\u{f6}rg@b\u{fc}cher.example"),
            "j\u{f6}rg@xn--bcher-kva.example"
        );
        for same in ["a@b.example", "b\u{fc}cher", "a@b\u{fc}cher.example, c@d"] {
            assert_eq!(with_ascii_domain(same), same);
        }
    }

    #[test]
    fn the_time_is_said_in_utc() {
        let time = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let there = time.to_offset(time::UtcOffset::from_hms(5, 30, 0).unwrap());
        assert_eq!(in_words(there), "2027-01-15 08:00 UTC");
    }
}
