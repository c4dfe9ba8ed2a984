//! A stand-in for Hasura: takes any metadata, and responds to the query for custom claims as
//! configured.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What Hasura says next.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// This user.
    User(Value),
    /// This, whatever it is.
    Text(u16, String),
    /// Nothing, ever.
    Nothing,
}

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) secret: String,
    pub(crate) body: Value,
    pub(crate) text: String,
}

struct State {
    say: Say,
    /// Before `say`, one each.
    first: VecDeque<Say>,
    asked: Vec<Asked>,
}

/// A listening stand-in.
pub(crate) struct Hasura {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Hasura {
    /// That knows this user.
    #[expect(clippy::disallowed_methods, reason = "a server of a test")]
    pub(crate) async fn start(user: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/graphql", listener.local_addr().unwrap());
        let state = State { say: Say::User(user), first: VecDeque::new(), asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let (open, gate) = watch::channel(true);
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, gate) = (Arc::clone(&shared), gate.clone());
                tokio::spawn(async move {
                    let response = service_fn(|request| respond(&state, gate.clone(), request));
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), response)
                        .await;
                });
            }
        });
        Self { url, state, open, task }
    }

    /// From now on.
    pub(crate) fn say(&self, say: Say) {
        self.state.lock().unwrap().say = say;
    }

    /// Once, before anything else.
    pub(crate) fn say_once(&self, say: Say) {
        self.state.lock().unwrap().first.push_back(say);
    }

    /// Holds queries back, or lets them have a response.
    pub(crate) fn hold(&self, hold: bool) {
        self.open.send_replace(!hold);
    }

    /// All questions so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for Hasura {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(
    state: &Mutex<State>,
    mut gate: watch::Receiver<bool>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/v1/metadata" {
        return Ok(Response::new(Full::from("{\"message\":\"success\"}")));
    }
    let secret = request.headers().get("x-hasura-admin-secret");
    let secret = secret.map(|secret| secret.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let say = {
        let mut state = state.lock().unwrap();
        let body = serde_json::from_str(&text).unwrap();
        state.asked.push(Asked { secret, body, text });
        state.first.pop_front().unwrap_or_else(|| state.say.clone())
    };
    gate.wait_for(|open| *open).await.unwrap();
    Ok(match say {
        Say::User(user) => Response::new(Full::from(json!({"data": {"user": user}}).to_string())),
        Say::Text(status, text) => {
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status.try_into().unwrap();
            response
        }
        Say::Nothing => std::future::pending().await,
    })
}
