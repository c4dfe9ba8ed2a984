//! Mail over real SMTP: every mode, every mechanism, and what must not happen.

use std::path::PathBuf;

use keywright::config::{
    MailConfig, MailDelivery, MailTransport, SmtpAuthMethod, SmtpConfig, SmtpTls,
};
use keywright::domain::ids::MessageId;
use keywright::domain::mail::{MailTemplate, MailVariables, OutboxMessage};
use keywright::domain::schema_origin::Origin;
use keywright::notify::message::mail_link;
use keywright::notify::sender::{MailSender, SendError, describe};
use mail_parser::{MessageParser, MimeHeaders};
use secrecy::ExposeSecret;
use time::{Duration, OffsetDateTime};

use crate::support::smtp::{Fault, PASSWORD, Received, SmtpServer, Tls, USER};

const METHODS: [SmtpAuthMethod; 3] =
    [SmtpAuthMethod::Plain, SmtpAuthMethod::Login, SmtpAuthMethod::CramMd5];

pub(crate) fn sender_from(smtp: SmtpConfig) -> MailSender {
    sender_named(smtp, "Keywright <no-reply@example.com>")
}

fn sender_named(smtp: SmtpConfig, sender: &str) -> MailSender {
    sender_of(smtp, sender, Origin::Adopted)
}

fn sender_of(smtp: SmtpConfig, sender: &str, origin: Origin) -> MailSender {
    let config = MailConfig {
        transport: MailTransport::Smtp(smtp),
        sender: sender.to_owned(),
        smtpapi_header: r#"{"category": ["é"]}"#.to_owned(),
        templates_path: PathBuf::from("/nowhere"),
        delivery: MailDelivery::Outbox,
    };
    MailSender::from_config(&config, "en", origin).expect("usable settings")
}

fn message() -> OutboxMessage {
    let redirect_to = "http://localhost:3000/a?b=c&d=e";
    let ticket = "verifyEmail:3b241101-e2bb-4255-8caf-4136c566a962";
    let server_url = "http://localhost:4000/v1";
    let link = mail_link(&server_url.parse().expect("a URL"), "emailVerify", ticket, redirect_to);
    let created_at = OffsetDateTime::from_unix_timestamp(1_795_000_000).expect("in range");
    OutboxMessage {
        id: MessageId::random(),
        recipient: "ann@example.org".to_owned(),
        template: MailTemplate::EmailVerify,
        locale: "en".to_owned(),
        variables: MailVariables {
            link: link.into(),
            display_name: "Ann".to_owned(),
            email: "ann@example.org".to_owned(),
            ticket: ticket.into(),
            redirect_to: redirect_to.to_owned(),
            server_url: server_url.to_owned(),
            client_url: "http://localhost:3000".to_owned(),
            ..MailVariables::default()
        },
        created_at,
        expires_at: created_at + Duration::days(30),
        attempts: 1,
    }
}

fn only(server: &SmtpServer) -> Received {
    let received = server.received();
    assert_eq!(received.len(), 1);
    received.into_iter().next().expect("one")
}

#[tokio::test]
async fn every_mechanism_works_in_every_mode() {
    for tls in [Tls::Never, Tls::Upgrade, Tls::Implicit] {
        for (method, name) in METHODS.into_iter().zip(["PLAIN", "LOGIN", "CRAM-MD5"]) {
            let server = SmtpServer::start(tls).await;
            sender_from(server.config(method)).send(&message()).await.unwrap();
            let mail = only(&server);
            assert_eq!(mail.auth.as_deref(), Some(name));
            assert_eq!(mail.encrypted, tls != Tls::Never);
            assert_eq!(mail.from, "no-reply@example.com");
            assert_eq!(mail.to, ["ann@example.org"]);
        }
    }
}

#[tokio::test]
async fn the_message_has_the_contracts_headers_and_two_alternatives() {
    let server = SmtpServer::start(Tls::Never).await;
    let message = message();
    sender_from(server.config(SmtpAuthMethod::Plain)).send(&message).await.unwrap();
    let mail = only(&server);
    for (name, value) in [
        ("X-SMTPAPI", r#"{"category": ["\u00e9"]}"#),
        ("X-Ticket", "verifyEmail:3b241101-e2bb-4255-8caf-4136c566a962"),
        ("X-Redirect-To", "http://localhost:3000/a?b=c&d=e"),
        ("X-Email-Template", "email-verify"),
        (
            "X-Link",
            "http://localhost:4000/v1/verify?redirectTo=http%3A%2F%2Flocalhost%3A3000%2Fa%3Fb%3Dc%26d%3De\
             &ticket=verifyEmail%3A3b241101-e2bb-4255-8caf-4136c566a962&type=emailVerify",
        ),
        ("From", "Keywright <no-reply@example.com>"),
        ("To", "ann@example.org"),
        ("Subject", "Please verify your email address"),
        ("MIME-Version", "1.0"),
        ("Date", "Wed, 18 Nov 2026 11:06:40 +0000"),
    ] {
        assert_eq!(mail.raw_header(name).as_deref(), Some(value), "{name}");
    }
    let id = format!("<{}@example.com>", message.id);
    assert_eq!(mail.raw_header("Message-ID"), Some(id));

    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    assert_eq!(parsed.content_type().unwrap().subtype(), Some("alternative"));
    let link = "http://localhost:4000/v1/verify?redirectTo=";
    assert!(parsed.body_text(0).unwrap().contains(link));
    let html = parsed.body_html(0).unwrap();
    assert!(html.contains(&format!("<a href=\"{link}")));
    assert!(html.contains("&amp;type=emailVerify\""));
}

#[tokio::test]
async fn no_credentials_no_auth() {
    let server = SmtpServer::start(Tls::Never).await;
    let config = SmtpConfig {
        user: String::new(),
        password: String::new().into(),
        ..server.config(SmtpAuthMethod::Plain)
    };
    sender_from(config).send(&message()).await.unwrap();
    assert_eq!(only(&server).auth, None);
}

#[tokio::test]
async fn passwords_are_not_shown_to_the_network() {
    for method in METHODS {
        let server = SmtpServer::start_on("127.0.0.2:0", Tls::Never).await;
        let result = sender_from(server.config(method)).send(&message()).await;
        if method == SmtpAuthMethod::CramMd5 {
            result.unwrap();
        } else {
            assert!(describe(&result.unwrap_err(), &message()).contains("encrypted"));
            assert!(!server.commands().iter().any(|line| line.starts_with("AUTH")));
        }
    }
    // With STARTTLS any host will do.
    let server = SmtpServer::start_on("127.0.0.2:0", Tls::Upgrade).await;
    sender_from(server.config(SmtpAuthMethod::Plain)).send(&message()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_ends_the_delivery() {
    for tls in [Tls::Upgrade, Tls::Implicit] {
        let server = SmtpServer::start(tls).await;
        let config = SmtpConfig { ca_file: None, ..server.config(SmtpAuthMethod::Plain) };
        let error = sender_from(config).send(&message()).await.unwrap_err();
        assert!(!error.is_permanent());
        assert!(server.received().is_empty());
        assert!(!server.commands().iter().any(|line| line.starts_with("AUTH")));
    }
}

/// Somebody on the way may keep the offer of STARTTLS back, and read every link and code
/// (docs/reference-behaviour.md#mail-needs-tls).
#[tokio::test]
async fn whether_mail_may_go_in_the_clear_depends_on_setting_host_and_origin() {
    use SmtpTls::{None as Never, Opportunistic, Required};
    // The second address of this machine counts as elsewhere.
    for (address, setting, origin, offer, is_sent, is_encrypted) in [
        ("127.0.0.2:0", None, Origin::Created, Tls::Never, false, false),
        ("127.0.0.2:0", None, Origin::Adopted, Tls::Never, true, false),
        ("127.0.0.1:0", None, Origin::Created, Tls::Never, true, false),
        ("127.0.0.2:0", Some(Opportunistic), Origin::Created, Tls::Never, true, false),
        ("127.0.0.1:0", Some(Required), Origin::Adopted, Tls::Never, false, false),
        ("127.0.0.1:0", Some(Required), Origin::Created, Tls::Upgrade, true, true),
        ("127.0.0.1:0", Some(Required), Origin::Created, Tls::Implicit, true, true),
        ("127.0.0.1:0", Some(Opportunistic), Origin::Created, Tls::Upgrade, true, true),
        ("127.0.0.1:0", Some(Never), Origin::Created, Tls::Upgrade, true, false),
        ("127.0.0.1:0", Some(Never), Origin::Created, Tls::Never, true, false),
    ] {
        let case = format!("{address} {setting:?} {origin:?} {offer:?}");
        let server = SmtpServer::start_on(address, offer).await;
        let config = SmtpConfig { tls: setting, ..server.config(SmtpAuthMethod::CramMd5) };
        let sent = sender_of(config, "k@example.com", origin).send(&message()).await;
        assert_eq!(sent.is_ok(), is_sent, "{case}: {sent:?}");
        let received = server.received();
        assert_eq!(received.len(), usize::from(is_sent), "{case}");
        assert!(received.iter().all(|mail| mail.encrypted == is_encrypted), "{case}");
        if let Err(error) = sent {
            assert!(!error.is_permanent(), "{case}: the operator may mend it");
            assert!(describe(&error, &message()).contains("AUTH_SMTP_TLS"), "{case}");
            assert!(!server.commands().iter().any(|line| line.starts_with("AUTH")), "{case}");
        }
    }
}

#[tokio::test]
async fn an_ipv6_host_works_with_and_without_brackets() {
    let server = SmtpServer::start_on("[::1]:0", Tls::Upgrade).await;
    for host in ["::1", "[::1]"] {
        let config = SmtpConfig { host: host.to_owned(), ..server.config(SmtpAuthMethod::Login) };
        sender_from(config).send(&message()).await.unwrap();
    }
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn wrong_credentials_are_a_failure_that_tells_no_secret() {
    for method in METHODS {
        let server = SmtpServer::start(Tls::Upgrade).await;
        let config = SmtpConfig { password: "wrong-pass".into(), ..server.config(method) };
        let error = sender_from(config).send(&message()).await.unwrap_err();
        let text = describe(&error, &message());
        assert!(text.contains("535") && !text.contains("wrong-pass"), "{text}");
        assert!(!error.is_permanent());
        assert!(server.received().is_empty());
    }
    assert_ne!((USER, PASSWORD), ("", ""));
}

#[tokio::test]
async fn failures_say_what_failed_and_whether_there_is_hope() {
    let cases = [
        (Fault::Drop, false),
        (Fault::Reply { at: "EHLO", line: "554 go away" }, false),
        (Fault::Reply { at: "MAIL", line: "550 unknown sender" }, false),
        (Fault::Reply { at: "RCPT", line: "450 greylisted" }, false),
        (Fault::Reply { at: "RCPT", line: "550 5.1.1 <Ann@Example.ORG> no such user" }, true),
        (Fault::Reply { at: "DATA", line: "451 later" }, false),
        (Fault::Reply { at: ".", line: "554 spam" }, true),
    ];
    for (fault, permanent) in cases {
        let server = SmtpServer::start(Tls::Never).await;
        server.fail_next([fault.clone()]);
        let sender = sender_from(server.config(SmtpAuthMethod::Plain));
        let error = sender.send(&message()).await.unwrap_err();
        assert_eq!(error.is_permanent(), permanent, "{fault:?}");
        let text = describe(&error, &message());
        assert!(!text.to_lowercase().contains("ann@example.org"), "{text}");
        assert!(server.received().is_empty());
        sender.send(&message()).await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let server = SmtpServer::start(Tls::Never).await;
    let config = SmtpConfig { ca_file: None, ..server.config(SmtpAuthMethod::Plain) };
    drop(server);
    assert!(sender_from(config).send(&message()).await.is_err());
}

#[tokio::test]
async fn an_accepted_mail_is_sent_even_if_the_farewell_fails() {
    let server = SmtpServer::start(Tls::Never).await;
    server.fail_next([Fault::Reply { at: "QUIT", line: "421 no manners" }]);
    sender_from(server.config(SmtpAuthMethod::Plain)).send(&message()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let server = SmtpServer::start(Tls::Never).await;
    server.fail_next([Fault::Hang { at: "RCPT" }]);
    let transport = keywright::notify::smtp::SmtpTransport::new(
        &server.config(SmtpAuthMethod::Plain),
        Origin::Adopted,
    )
    .unwrap()
    .with_send_timeout(std::time::Duration::from_millis(300));
    let error = transport.deliver("a@example.com", "b@example.com", b"x\r\n").await.unwrap_err();
    assert!(error.to_string().contains("longer"));
}

#[tokio::test]
async fn lines_that_start_with_a_dot_arrive_as_they_were() {
    let server = SmtpServer::start(Tls::Never).await;
    let transport = keywright::notify::smtp::SmtpTransport::new(
        &server.config(SmtpAuthMethod::Plain),
        Origin::Adopted,
    )
    .unwrap();
    let body = b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\nb.\r\n\r\n.\r\nQUIT";
    transport.deliver("a@example.com", "b@example.com", body).await.unwrap();
    assert_eq!(only(&server).data, [&body[..], b"\r\n"].concat());
}

#[tokio::test]
async fn line_breaks_in_values_start_no_header() {
    let server = SmtpServer::start(Tls::Never).await;
    let mut message = message();
    message.template = MailTemplate::SigninOtp;
    message.variables.redirect_to =
        "http://localhost:3000/\r\nBcc: eve@example.net\r\n\r\n<script>\n\u{2028}\u{85}X: y"
            .to_owned();
    message.variables.ticket = "123456\r\nX-Evil: 1".into();
    message.variables.display_name = "A\r\nX-Evil: 2".to_owned();
    sender_from(server.config(SmtpAuthMethod::Plain)).send(&message).await.unwrap();
    let mail = only(&server);
    assert_eq!(mail.to, ["ann@example.org"]);
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    for name in ["Bcc", "X-Evil", "X"] {
        assert!(parsed.header(name).is_none(), "{name}");
    }
    assert_eq!(
        mail.raw_header("X-Redirect-To").unwrap(),
        "http://localhost:3000/Bcc: eve@example.net<script>X: y"
    );
    assert!(!parsed.body_html(0).unwrap().contains("<script>"));
}

#[tokio::test]
async fn a_recipient_with_a_command_in_it_is_refused_before_dialling() {
    let server = SmtpServer::start(Tls::Never).await;
    let sender = sender_from(server.config(SmtpAuthMethod::Plain));
    for recipient in ["a@b\r\nRCPT TO:<eve@c>", "a@b, eve@c", "a@b\nX: y", "", "A <a@b\r\n>"] {
        let message = OutboxMessage { recipient: recipient.to_owned(), ..message() };
        let error = sender.send(&message).await.unwrap_err();
        assert!(error.is_permanent());
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn what_is_not_ascii_is_encoded() {
    let server = SmtpServer::start(Tls::Never).await;
    let mut message = message();
    message.template = MailTemplate::SigninOtp;
    message.locale = "cs".to_owned();
    message.variables.redirect_to = "http://localhost/žluťoučký/日本語".to_owned();
    let sender = sender_named(server.config(SmtpAuthMethod::Plain), "Zoë <zoe@example.com>");
    sender.send(&message).await.unwrap();
    let mail = only(&server);
    assert!(mail.data.is_ascii());
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    assert_eq!(parsed.subject(), Some("Váš jednorázový kód pro localhost"));
    assert_eq!(parsed.from().unwrap().first().unwrap().name(), Some("Zoë"));
    assert!(parsed.body_text(0).unwrap().contains("žluťoučký"));
    assert_eq!(
        mail.raw_header("X-Redirect-To").unwrap(),
        "http://localhost/%C5%BElu%C5%A5ou%C4%8Dk%C3%BD/%E6%97%A5%E6%9C%AC%E8%AA%9E"
    );
    assert_eq!(mail.raw_header("X-Link").as_deref(), Some(message_link(&message)));
}

fn message_link(message: &OutboxMessage) -> &str {
    message.variables.link.expose_secret()
}

#[tokio::test]
async fn a_header_longer_than_a_line_may_be_is_left_out() {
    let server = SmtpServer::start(Tls::Never).await;
    let mut message = message();
    let long = format!("https://example.com/{}", "a".repeat(2_000));
    message.variables.redirect_to.clone_from(&long);
    message.variables.link = format!("https://example.com/verify?x={long}").into();
    sender_from(server.config(SmtpAuthMethod::Plain)).send(&message).await.unwrap();
    let mail = only(&server);
    assert!(mail.raw_header("X-Redirect-To").is_none() && mail.raw_header("X-Link").is_none());
    let parsed = MessageParser::default().parse(&mail.data).unwrap();
    assert!(parsed.body_text(0).unwrap().contains(&long));
}

#[tokio::test]
async fn without_a_host_nothing_can_be_sent() {
    let config = MailConfig {
        transport: MailTransport::None,
        sender: String::new(),
        smtpapi_header: String::new(),
        templates_path: PathBuf::from("/nowhere"),
        delivery: MailDelivery::Outbox,
    };
    let sender = MailSender::from_config(&config, "en", Origin::Adopted).unwrap();
    assert!(!sender.can_send());
    assert!(matches!(sender.send(&message()).await, Err(SendError::NotConfigured)));
}

#[tokio::test]
async fn captured_mail_has_the_same_words_and_headers() {
    let folder = std::env::temp_dir().join(format!("keywright-mail-{}", uuid::Uuid::new_v4()));
    let config = MailConfig {
        transport: MailTransport::Capture { folder: folder.clone() },
        sender: String::new(),
        smtpapi_header: String::new(),
        templates_path: PathBuf::from("/nowhere"),
        delivery: MailDelivery::Outbox,
    };
    let sender = MailSender::from_config(&config, "en", Origin::Adopted).unwrap();
    let message = message();
    sender.send(&message).await.unwrap();
    let kept = sender.inbox().unwrap().find(message.id).await.unwrap().unwrap();
    assert_eq!(kept.subject, "Please verify your email address");
    assert_eq!(kept.header("X-Email-Template"), Some("email-verify"));
    assert_eq!(kept.header("X-Link"), Some(message_link(&message)));
    std::fs::remove_dir_all(folder).unwrap();
}

/// What the server was greeted with.
fn greetings(server: &SmtpServer) -> Vec<String> {
    let commands = server.commands();
    commands.iter().filter_map(|line| line.strip_prefix("EHLO ")).map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn the_server_is_greeted_by_a_name_with_a_dot_or_by_an_address() {
    for (helo, expected) in
        [("mail.example.com", "mail.example.com"), ("[192.0.2.7]", "[192.0.2.7]"), ("", "")]
    {
        let server = SmtpServer::start(Tls::Never).await;
        let config = SmtpConfig { helo: helo.to_owned(), ..server.config(SmtpAuthMethod::Plain) };
        sender_from(config).send(&message()).await.unwrap();
        let [greeting] = greetings(&server).try_into().unwrap();
        if expected.is_empty() {
            // The name of the host that runs the test, or how it reaches itself.
            let is_address = greeting == "[127.0.0.1]";
            assert!(
                is_address || greeting.contains('.') && !greeting.starts_with('['),
                "{greeting}"
            );
        } else {
            assert_eq!(greeting, expected);
        }
    }
}

#[tokio::test]
async fn a_sender_with_a_comma_or_of_another_alphabet_is_one_mailbox_and_is_delivered() {
    for (configured, name, address) in [
        ("Acme, Inc. <a@b.example>", Some("Acme, Inc."), "a@b.example"),
        ("Bücher <info@bücher.example>", Some("Bücher"), "info@xn--bcher-kva.example"),
        ("info@bücher.example", None, "info@xn--bcher-kva.example"),
    ] {
        let server = SmtpServer::start(Tls::Never).await;
        let sender = sender_named(server.config(SmtpAuthMethod::Plain), configured);
        let recipient = "ann@bücher.example".to_owned();
        sender.send(&OutboxMessage { recipient, ..message() }).await.unwrap();
        let received = only(&server);
        assert_eq!((received.from.as_str(), received.to.len()), (address, 1), "{configured}");
        assert_eq!(received.to, ["ann@xn--bcher-kva.example"]);
        let parsed = MessageParser::default().parse(&received.data).unwrap();
        let from: Vec<_> = parsed.from().unwrap().iter().collect();
        assert_eq!(from.len(), 1, "{configured}");
        assert_eq!((from[0].name.as_deref(), from[0].address.as_deref()), (name, Some(address)));
    }
}
