//! The mail that a server under test sends, over real SMTP.

use mail_parser::MessageParser;
use reqwest::Url;

use super::app::{Client, TestResponse};
use super::postgres::TestDatabase;
use super::smtp::{SmtpServer, Tls, eventually};

/// An SMTP server, and the settings that lead there.
pub(crate) struct Mailbox {
    pub(crate) smtp: SmtpServer,
    port: String,
}

/// One mail as its reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) html: String,
    headers: Vec<(String, String)>,
}

impl Mail {
    /// The value of a header, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `X-Email-Template`.
    pub(crate) fn template(&self) -> &str {
        self.header("X-Email-Template").expect("every mail has a template")
    }

    /// `X-Ticket`.
    pub(crate) fn ticket(&self) -> &str {
        self.header("X-Ticket").expect("every mail has a ticket")
    }

    /// Path and query of `X-Link`, whose host is no real one.
    pub(crate) fn path(&self) -> String {
        let link = Url::parse(self.header("X-Link").expect("every mail has a link")).unwrap();
        format!("{}?{}", link.path(), link.query().unwrap_or_default())
    }
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let smtp = SmtpServer::start(Tls::Never).await;
        let port = smtp.address.port().to_string();
        Self { smtp, port }
    }

    /// Verification is required, and mail goes here; then `more`.
    pub(crate) fn settings<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut all = vec![
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
            ("AUTH_SMTP_HOST", "127.0.0.1"),
            ("AUTH_SMTP_PORT", &self.port),
            ("AUTH_SMTP_SENDER", "Keywright <no-reply@example.com>"),
        ];
        all.extend_from_slice(more);
        all
    }

    /// All mail so far, once there are `count` of them and no more are promised.
    pub(crate) async fn all(&self, database: &TestDatabase, count: usize) -> Vec<Mail> {
        let all = self.so_far(database).await;
        assert_eq!(all.len(), count, "{all:?}");
        all
    }

    /// All mail to this address so far, once no more is promised to anybody.
    pub(crate) async fn to(&self, database: &TestDatabase, address: &str) -> Vec<Mail> {
        let mut all = self.so_far(database).await;
        all.retain(|mail| mail.to == [address]);
        all
    }

    async fn so_far(&self, database: &TestDatabase) -> Vec<Mail> {
        eventually("the outbox to be empty", async || {
            database.count("select count(*) from auth.keywright_outbox").await == 0
        })
        .await;
        self.smtp
            .received()
            .iter()
            .map(|mail| {
                let parsed = MessageParser::default().parse(&mail.data).expect("a message");
                let headers = parsed
                    .headers_raw()
                    .map(|(name, value)| (name.to_owned(), value.trim().replace("\r\n ", " ")));
                Mail {
                    to: mail.to.clone(),
                    subject: parsed.subject().unwrap_or_default().to_owned(),
                    html: parsed.body_html(0).unwrap_or_default().into_owned(),
                    headers: headers.collect(),
                }
            })
            .collect()
    }

    /// The `count`th mail, which must be the last one.
    pub(crate) async fn last(&self, database: &TestDatabase, count: usize) -> Mail {
        self.all(database, count).await.pop().expect("at least one is asked for")
    }
}

/// `GET /verify` with a ticket.
pub(crate) async fn verify(client: &Client, ticket: &str, redirect_to: &str) -> TestResponse {
    client.get(&link(ticket, redirect_to)).await
}

/// The same by an application that is signed in.
pub(crate) async fn verify_as(
    client: &Client,
    ticket: &str,
    redirect_to: &str,
    bearer: &str,
) -> TestResponse {
    let request = client.request(reqwest::Method::GET, &link(ticket, redirect_to));
    Client::send(request.bearer_auth(bearer)).await
}

fn link(ticket: &str, redirect_to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("ticket", ticket)
        .append_pair("redirectTo", redirect_to)
        .finish();
    format!("/verify?{query}")
}
