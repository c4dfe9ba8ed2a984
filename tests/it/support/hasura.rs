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
use uuid::Uuid;

/// What Hasura says next.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// This user, whoever is asked about.
    User(Value),
    /// Each user's id, as `id`; a query fails that asks about one of these.
    IdsBut(Vec<Uuid>),
    /// The same, but a query for many fails for these alone, and one of their own succeeds.
    IdsInPart(Vec<Uuid>),
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
    let body: Value = serde_json::from_str(&text).unwrap();
    let variables = body["variables"].clone();
    let say = {
        let mut state = state.lock().unwrap();
        state.asked.push(Asked { secret, body, text });
        state.first.pop_front().unwrap_or_else(|| state.say.clone())
    };
    gate.wait_for(|open| *open).await.unwrap();
    Ok(match say {
        Say::User(user) => json_response(&data(&variables, &user)),
        Say::IdsBut(bad) if asks_about(&variables, &bad) => {
            json_response(&json!({"errors": [{"message": "as told"}]}))
        }
        Say::IdsInPart(bad) if variables["ids"].is_array() && asks_about(&variables, &bad) => {
            let mut data = data(&variables, &json!({}));
            let users = data["data"]["users"].as_array_mut().unwrap();
            users.retain(|user| !bad.iter().any(|bad| user["id"] == bad.to_string()));
            data["errors"] = json!([{"message": "as told"}]);
            json_response(&data)
        }
        Say::IdsBut(_) | Say::IdsInPart(_) => json_response(&data(&variables, &json!({}))),
        Say::Text(status, text) => {
            let mut response = Response::new(Full::from(text));
            *response.status_mut() = status.try_into().unwrap();
            response
        }
        Say::Nothing => std::future::pending().await,
    })
}

fn json_response(body: &Value) -> Response<Full<Bytes>> {
    Response::new(Full::from(body.to_string()))
}

fn asks_about(variables: &Value, users: &[Uuid]) -> bool {
    let asked = variables.to_string();
    users.iter().any(|user| asked.contains(&user.to_string()))
}

/// Each of those who are asked about is this user, with an id of their own.
fn data(variables: &Value, user: &Value) -> Value {
    let with_id = |id: &Value| {
        let mut user = user.clone();
        user["id"] = id.clone();
        user
    };
    match &variables["ids"] {
        Value::Array(ids) => {
            let users: Vec<Value> = ids.iter().map(with_id).collect();
            json!({"data": {"users": users}})
        }
        _ => json!({"data": {"user": with_id(&variables["id"])}}),
    }
}
