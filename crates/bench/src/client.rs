//! One session's client: what is sent for an operation, and what its response means.
//!
//! The connection is driven by the future that waits for the response, not by a task of its own: that
//! saves two wake-ups a request, and the client must not be what is measured.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use http::StatusCode;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::scan::top_level_string;
use crate::target::Target;
use crate::wire::{Failure, ResponseHead, Wire};

/// Longest refresh token that is believed.
const MAX_TOKEN: usize = 512;

/// What one request came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200; of a refresh, the new token was taken.
    Ok,
    /// 401 `invalid-refresh-token`: the server has lost the session, which must never happen.
    Lost,
    /// Any other response: status and code, or what was wrong with the body.
    Refused(StatusCode, String),
    Failed(Failure),
    /// Nothing was left to send.
    Nothing,
}

impl Outcome {
    /// For messages.
    pub fn text(&self) -> String {
        match self {
            Self::Ok => "200".to_owned(),
            Self::Lost => "401 invalid-refresh-token".to_owned(),
            Self::Refused(status, code) => format!("{} {code}", status.as_u16()),
            Self::Failed(failure) => failure.kind().to_owned(),
            Self::Nothing => "nothing to send".to_owned(),
        }
    }
}

/// A client with at most one connection, made when needed and again when it broke.
pub struct Client {
    target: Arc<Target>,
    timeout: Duration,
    wire: Option<Wire>,
    /// Fires at the earliest when the response is late; moved only when it fires, since setting a
    /// timer for each request would cost as much as parsing the response.
    alarm: Option<Pin<Box<Sleep>>>,
    request: String,
    response_body: Vec<u8>,
    /// `Location` of the last response, if it was a redirect.
    location: Option<String>,
}

impl Client {
    /// A client that is not connected yet.
    pub fn new(target: Arc<Target>, timeout: Duration) -> Self {
        let (request, response_body) = (String::with_capacity(1_024), Vec::with_capacity(4_096));
        let (wire, alarm, location) = (None, None, None);
        Self { target, timeout, wire, alarm, request, response_body, location }
    }

    /// Connects unless connected.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        if self.wire.is_none() {
            let connecting = TcpStream::connect(self.target.address);
            let stream = tokio::time::timeout(self.timeout, connecting)
                .await
                .map_err(|_elapsed| Failure::Connect)?
                .map_err(|_refused| Failure::Connect)?;
            stream.set_nodelay(true).map_err(|_gone| Failure::Connect)?;
            self.wire = Some(Wire::new(stream));
        }
        Ok(())
    }

    /// Trades the refresh token in `token` for the next one, which takes its place.
    pub async fn refresh(&mut self, token: &mut String) -> Outcome {
        self.start("POST", "/token");
        let length = r#"{"refreshToken":""}"#.len() + token.len();
        self.add(format_args!(
            "content-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {{\"refreshToken\":\"{token}\"}}"
        ));
        let status = match self.exchange().await {
            Ok(status) => status,
            Err(failure) => return Outcome::Failed(failure),
        };
        if status == StatusCode::OK {
            let next = top_level_string(&self.response_body, "refreshToken")
                .filter(|next| !next.is_empty() && next.len() <= MAX_TOKEN)
                .and_then(|next| std::str::from_utf8(next).ok());
            let Some(next) = next else {
                return Outcome::Refused(status, "no refreshToken".to_owned());
            };
            token.clear();
            token.push_str(next);
            return Outcome::Ok;
        }
        match self.error_code() {
            "invalid-refresh-token" if status == StatusCode::UNAUTHORIZED => Outcome::Lost,
            code => Outcome::Refused(status, code.to_owned()),
        }
    }

    /// Has an access token verified.
    pub async fn verify(&mut self, token: &str) -> Outcome {
        self.start("POST", "/token/verify");
        let length = r#"{"token":""}"#.len() + token.len();
        self.add(format_args!(
            "content-type: application/json\r\ncontent-length: {length}\r\n\r\n\
             {{\"token\":\"{token}\"}}"
        ));
        self.send().await
    }

    /// Reads the profile of an access token's user.
    pub async fn user(&mut self, token: &str) -> Outcome {
        self.start("GET", "/user");
        self.add(format_args!("authorization: Bearer {token}\r\n\r\n"));
        self.send().await
    }

    /// Posts JSON to a path of the contract; the response's body is in
    /// [`Self::response_body`] afterwards.
    pub async fn post(
        &mut self,
        path: &str,
        json: &serde_json::Value,
    ) -> anyhow::Result<StatusCode> {
        let status = self.post_text(path, None, &json.to_string()).await;
        status.map_err(|failure| anyhow::anyhow!(failure.kind())).with_context(|| path.to_owned())
    }

    /// The same with JSON that is text already, as the bearer of an access token if there is one.
    pub async fn post_text(
        &mut self,
        path: &str,
        bearer: Option<&str>,
        json: &str,
    ) -> Result<StatusCode, Failure> {
        self.start("POST", path);
        if let Some(token) = bearer {
            self.add(format_args!("authorization: Bearer {token}\r\n"));
        }
        let length = json.len();
        self.add(format_args!(
            "content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        ));
        self.exchange().await
    }

    /// Gets a path, with its query if it has one.
    pub async fn get(&mut self, path: &str) -> Result<StatusCode, Failure> {
        self.start("GET", path);
        self.add(format_args!("\r\n"));
        self.exchange().await
    }

    /// Where the last response redirects to.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The body of the last response.
    pub fn response_body(&self) -> &[u8] {
        &self.response_body
    }

    /// `error` of the last response's body, cut to a sane length.
    pub fn error_code(&self) -> &str {
        top_level_string(&self.response_body, "error")
            .filter(|code| code.len() <= 64)
            .and_then(|code| std::str::from_utf8(code).ok())
            .unwrap_or("no code")
    }

    fn start(&mut self, method: &str, path: &str) {
        self.request.clear();
        let Target { prefix, host, .. } = &*self.target;
        write!(self.request, "{method} {prefix}{path} HTTP/1.1\r\nhost: {host}\r\n")
            .expect("a String can always be written to");
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.request.write_fmt(text).expect("a String can always be written to");
    }

    /// Sends the request, which succeeds or is refused.
    async fn send(&mut self) -> Outcome {
        match self.exchange().await {
            Ok(StatusCode::OK) => Outcome::Ok,
            Ok(status) => Outcome::Refused(status, self.error_code().to_owned()),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn exchange(&mut self) -> Result<StatusCode, Failure> {
        self.connect().await?;
        let Some(wire) = &mut self.wire else { return Err(Failure::Connect) };
        let deadline = Instant::now() + self.timeout;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let head = in_time(
            wire.exchange(self.request.as_bytes(), &mut self.response_body),
            alarm,
            deadline,
        )
        .await;
        if head.is_ok_and(|head| head.status.is_redirection()) {
            self.location = wire.header("location").map(str::to_owned);
        }
        if !head.is_ok_and(|head| head.is_reusable) {
            self.wire = None;
        }
        head.map(|head| head.status)
    }
}

/// The response, or a time-out at the deadline.
async fn in_time(
    call: impl Future<Output = Result<ResponseHead, Failure>>,
    alarm: &mut Pin<Box<Sleep>>,
    deadline: Instant,
) -> Result<ResponseHead, Failure> {
    let mut call = pin!(call);
    poll_fn(|context| {
        if let Poll::Ready(head) = call.as_mut().poll(context) {
            return Poll::Ready(head);
        }
        while alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(Failure::TimedOut));
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await
}

/// Lets a server that refused recover.
#[expect(
    clippy::disallowed_methods,
    reason = "another process is to recover; nothing signals when"
)]
pub async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}
