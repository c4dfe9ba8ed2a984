//! What others write into the head of a mail: sender, recipient, subject, target. None of it begins
//! another header or another recipient.

use secrecy::SecretString;
use time::OffsetDateTime;

use super::Target;
use crate::domain::ids::MessageId;
use crate::domain::mail::{MailTemplate, MailVariables, OutboxMessage};
use crate::notify::message::{Sender, build, envelope_address, with_ascii_domain};
use crate::notify::rendered::Rendered;

pub(super) const TARGET: Target = Target {
    name: "mail_headers",
    run,
    seeds: &[
        b"Acme, Inc. <a@b.example>\nann@example.com\nHello\nhttps://app.example.com",
        b"\"Acme \\\"Best\\\" Inc.\" <a@b.example>\nAnn <ann@example.com>\nA, B; C: D",
        "Bücher <a@bücher.example>\njörg@bücher.example\nGrüße \u{2028} an alle".as_bytes(),
        b"a@[192.0.2.1]\na@localhost\nSubject: x\r\nBcc: c@d.example",
        b"=?utf-8?b?QWNtZQ==?= <a@b.example>\na@b.example>, <c@d.example",
    ],
};

/// Headers that a mail has.
const NAMES: [&str; 13] = [
    "X-SMTPAPI",
    "X-Ticket",
    "X-Redirect-To",
    "X-Email-Template",
    "X-Link",
    "From",
    "To",
    "Date",
    "Message-ID",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];

fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut parts = text.splitn(4, '\n');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (configured, recipient, subject, redirect_to) = (next(), next(), next(), next());
    let _ = with_ascii_domain(envelope_address(&recipient));
    let Some(sender) = Sender::parse(&configured) else { return };
    assert_is_one_mailbox(&sender);

    let message = OutboxMessage {
        id: MessageId::random(),
        recipient,
        template: MailTemplate::EmailVerify,
        locale: "en".to_owned(),
        variables: MailVariables {
            link: SecretString::from(subject.clone()),
            redirect_to,
            ..MailVariables::default()
        },
        created_at: OffsetDateTime::UNIX_EPOCH,
        attempts: 0,
        expires_at: OffsetDateTime::UNIX_EPOCH,
    };
    let html = "<p>x</p>".to_owned();
    let rendered = Rendered { subject: subject.clone(), html, text: Some("x".to_owned()) };
    let bytes = build(&message, &rendered, &sender, &subject);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head ends");
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut seen = Vec::new();
    for line in head.split("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{line:?} of {text:?}");
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let (name, _) = line.split_once(':').unwrap_or((line, ""));
        assert!(NAMES.contains(&name), "{line:?} of {text:?}");
        assert!(!seen.contains(&name), "{name} twice of {text:?}");
        seen.push(name);
    }
}

/// Outside of quotes there is one address and nothing that separates two.
fn assert_is_one_mailbox(sender: &Sender) {
    let address = sender.address();
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    assert!(!address.contains(bad) || address.starts_with('"'), "{address:?}");
    let mut is_quoted = false;
    let mut bare = String::new();
    let mut characters = sender.header().chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if is_quoted => drop(characters.next()),
            '"' => is_quoted = !is_quoted,
            _ if !is_quoted => bare.push(c),
            _ => {}
        }
    }
    assert!(!is_quoted, "{:?}", sender.header());
    assert!(!bare.contains([',', ';', '\r', '\n']) || bare.contains("\r\n "), "{bare:?}");
    assert!(bare.matches('<').count() <= 1, "{bare:?}");
}
