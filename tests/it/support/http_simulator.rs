//! A stand-in for somebody else's HTTP API: keeps what it is asked, and responds as configured.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it says to one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16, String),
    /// Never responds.
    Hang,
}

impl Reply {
    /// A response with this status and this JSON.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Status(status, body.to_string())
    }

    /// A response without a body.
    pub(crate) fn empty(status: u16) -> Self {
        Self::Status(status, String::new())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The body as it came, where it is no text.
    pub(crate) bytes: Bytes,
}

impl Asked {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// A field of a form.
    pub(crate) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

struct State {
    reply: Reply,
    /// Before `reply`, one each.
    first: VecDeque<Reply>,
    asked: Vec<Asked>,
}

/// A listening stand-in.
pub(crate) struct HttpSimulator {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl HttpSimulator {
    /// That always says this, until told otherwise.
    #[expect(clippy::disallowed_methods, reason = "a server of a test")]
    pub(crate) async fn start(reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = State { reply, first: VecDeque::new(), asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| respond(&state, request));
                    let stream = TokioIo::new(stream);
                    let _ = http1::Builder::new().serve_connection(stream, service).await;
                });
            }
        });
        Self { url, state, task }
    }

    /// From now on.
    pub(crate) fn say(&self, reply: Reply) {
        self.state.lock().unwrap().reply = reply;
    }

    /// Once, before anything else.
    pub(crate) fn say_once(&self, reply: Reply) {
        self.state.lock().unwrap().first.push_back(reply);
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// The only request so far.
    #[track_caller]
    pub(crate) fn only(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

impl Drop for HttpSimulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(
    state: &Mutex<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let reply = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked {
            method: parts.method,
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            bytes: body,
        });
        state.first.pop_front().unwrap_or_else(|| state.reply.clone())
    };
    match reply {
        Reply::Status(status, text) => {
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
        Reply::Hang => std::future::pending().await,
    }
}
