//! One keep-alive HTTP/1.1 connection and the exchange of one refresh, as cheap as hyper allows.
//!
//! The connection is driven by the future that waits for the answer, not by a task of its own: that
//! saves two wake-ups a request, and the client must not be what is measured.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::scan::top_level_string;
use super::target::Target;

/// Longest answer that is read.
const MAX_ANSWER: usize = 256 * 1024;
/// Longest refresh token that is believed.
const MAX_TOKEN: usize = 512;

/// Why no answer came.
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
            Self::TooLong => "answer too long",
        }
    }
}

/// What one refresh came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// A new token was taken.
    Ok,
    /// 401 `invalid-refresh-token`: the server has lost the session, which must never happen.
    Lost,
    /// Any other answer: status and code, or what was wrong with the body.
    Refused(StatusCode, String),
    Failed(Failure),
}

struct Link {
    send: http1::SendRequest<Full<Bytes>>,
    drive: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

/// A client with at most one connection, made when needed and again when it broke.
pub struct Client {
    target: Arc<Target>,
    token_uri: Uri,
    timeout: Duration,
    link: Option<Link>,
    /// Fires at the earliest when the answer is late; moved only when it fires, since setting a
    /// timer for each request would cost as much as parsing the answer.
    alarm: Option<Pin<Box<Sleep>>>,
    body: BytesMut,
    answer: Vec<u8>,
}

impl Client {
    /// A client that is not connected yet.
    pub fn new(target: Arc<Target>, timeout: Duration) -> anyhow::Result<Self> {
        let token_uri = target.uri("/token")?;
        let (body, answer) = (BytesMut::with_capacity(256), Vec::with_capacity(4_096));
        Ok(Self { target, token_uri, timeout, link: None, alarm: None, body, answer })
    }

    /// Connects unless connected.
    pub async fn connect(&mut self) -> Result<(), Failure> {
        if self.link.is_none() {
            let connecting = TcpStream::connect(self.target.address);
            let stream = tokio::time::timeout(self.timeout, connecting)
                .await
                .map_err(|_elapsed| Failure::Connect)?
                .map_err(|_refused| Failure::Connect)?;
            stream.set_nodelay(true).map_err(|_gone| Failure::Connect)?;
            let (send, drive) = http1::Builder::new()
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|_error| Failure::Connection)?;
            self.link = Some(Link { send, drive });
        }
        Ok(())
    }

    /// Trades the token in `token` for the next one, which takes its place.
    pub async fn refresh(&mut self, token: &mut String) -> Refreshed {
        self.body.reserve(token.len() + 32);
        self.body.put_slice(br#"{"refreshToken":""#);
        self.body.put_slice(token.as_bytes());
        self.body.put_slice(br#""}"#);
        let body = self.body.split().freeze();
        let status = match self.exchange(self.token_uri.clone(), body).await {
            Ok(status) => status,
            Err(failure) => return Refreshed::Failed(failure),
        };
        if status == StatusCode::OK {
            let next = top_level_string(&self.answer, "refreshToken")
                .filter(|next| !next.is_empty() && next.len() <= MAX_TOKEN)
                .and_then(|next| std::str::from_utf8(next).ok());
            let Some(next) = next else {
                return Refreshed::Refused(status, "no refreshToken".to_owned());
            };
            token.clear();
            token.push_str(next);
            return Refreshed::Ok;
        }
        match self.error_code() {
            "invalid-refresh-token" if status == StatusCode::UNAUTHORIZED => Refreshed::Lost,
            code => Refreshed::Refused(status, code.to_owned()),
        }
    }

    /// Posts JSON to a path of the contract; the answer's body is in [`Self::answer`] afterwards.
    pub async fn post(
        &mut self,
        path: &str,
        json: &serde_json::Value,
    ) -> anyhow::Result<StatusCode> {
        let uri = self.target.uri(path)?;
        let answered = self.exchange(uri, Bytes::from(json.to_string())).await;
        answered.map_err(|failure| anyhow::anyhow!(failure.kind())).with_context(|| path.to_owned())
    }

    /// The body of the last answer.
    pub fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// `error` of the last answer's body, cut to a sane length.
    pub fn error_code(&self) -> &str {
        top_level_string(&self.answer, "error")
            .filter(|code| code.len() <= 64)
            .and_then(|code| std::str::from_utf8(code).ok())
            .unwrap_or("no code")
    }

    async fn exchange(&mut self, uri: Uri, body: Bytes) -> Result<StatusCode, Failure> {
        self.connect().await?;
        let Some(link) = &mut self.link else { return Err(Failure::Connect) };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.insert(HOST, self.target.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));

        let deadline = Instant::now() + self.timeout;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let (result, reusable) = talk(link, alarm, deadline, request, &mut self.answer).await;
        if !reusable || result.is_err() {
            self.link = None;
        }
        result
    }
}

/// Sends one request and reads its whole answer; also says whether the connection can go on.
async fn talk(
    link: &mut Link,
    alarm: &mut Pin<Box<Sleep>>,
    deadline: Instant,
    request: Request<Full<Bytes>>,
    answer: &mut Vec<u8>,
) -> (Result<StatusCode, Failure>, bool) {
    let Link { send, drive } = link;
    let mut open = true;
    let mut call = pin!(async {
        send.ready().await.map_err(|_closed| Failure::Connection)?;
        let response = send.send_request(request).await.map_err(|_cut| Failure::Connection)?;
        let (head, mut body) = response.into_parts();
        answer.clear();
        // Known lengths end here without another turn through the connection.
        while !body.is_end_stream() {
            let Some(frame) = body.frame().await else { break };
            let frame = frame.map_err(|_cut| Failure::Connection)?;
            if let Some(data) = frame.data_ref() {
                if answer.len() + data.len() > MAX_ANSWER {
                    return Err(Failure::TooLong);
                }
                answer.extend_from_slice(data);
            }
        }
        Ok(head.status)
    });
    let result = poll_fn(|context| {
        // The answer's head and its body each need a turn of both sides; a third turn sees that
        // nothing more comes. Going round here is cheaper than being woken again.
        for _ in 0..3 {
            if let Poll::Ready(result) = call.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            if open && Pin::new(&mut *drive).poll(context).is_ready() {
                open = false;
            }
            if !open {
                // Either the answer came before the end, or it never will.
                let last = call.as_mut().poll(context);
                return Poll::Ready(match last {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(Failure::Connection),
                });
            }
        }
        while alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(Err(Failure::TimedOut));
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await;
    (result, open)
}
