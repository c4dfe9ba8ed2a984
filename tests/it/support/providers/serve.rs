//! The listener: which endpoint of which provider a request is for, and what is wrong with that one.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::fault::{Endpoint, Fault};
use super::state::ProviderState;
use super::wire::{Call, Reply};
use super::{Shared, authorize, openid, profile, token, twitter};

type HttpResponse = Response<BoxBody<Bytes, Infallible>>;

/// A port, and the URL that leads there.
pub(super) async fn bind() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener)
}

/// Serves until the task is aborted.
#[expect(clippy::disallowed_methods, reason = "a server of a test")]
pub(super) fn run(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let service = service_fn(|request| respond(&shared, request));
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

/// An error ends the connection.
async fn respond(shared: &Shared, request: Request<Incoming>) -> io::Result<HttpResponse> {
    let call = Call::read(request).await;
    let path = call.path.replace("%3A", ":");
    let Some((id, endpoint)) = path[1..].split_once('/') else { return Ok(not_found()) };
    let Some(endpoint) = Endpoint::of(endpoint) else { return Ok(not_found()) };
    let fault = {
        let mut world = shared.world();
        let Some(state) = world.providers.get_mut(id) else { return Ok(not_found()) };
        state.calls.push((endpoint, call.clone()));
        state.faults.get(&endpoint).cloned()
    };
    let right = || {
        let mut world = shared.world();
        let state = world.providers.get_mut(id).expect("it was there");
        reply(shared, state, endpoint, &call).unwrap_or_else(|refusal| refusal)
    };
    Ok(match fault {
        None => whole(right()),
        Some(Fault::Say(status, content_type, text)) => {
            let headers = vec![("content-type", content_type.to_owned())];
            whole(Reply { status, headers, body: text.into() })
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Close) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::Padded) => {
            let reply = right();
            let body = [vec![b' '; 2 << 20], reply.body.to_vec()].concat().into();
            whole(Reply { body, ..reply })
        }
        Some(Fault::Endless) => endless(&right()),
        Some(Fault::Redirect(to)) => whole(Reply { status: 307, ..Reply::redirect(&to) }),
        Some(Fault::Together(barrier)) => {
            barrier.wait().await;
            whole(right())
        }
    })
}

fn reply(
    shared: &Shared,
    state: &mut ProviderState,
    endpoint: Endpoint,
    call: &Call,
) -> Result<Reply, Reply> {
    let is_twitter = state.provider.id == "twitter";
    match endpoint {
        Endpoint::RequestToken if is_twitter => twitter::request_token(shared, state, call),
        Endpoint::Authorize if is_twitter => twitter::authorize(state, call),
        Endpoint::Token if is_twitter => twitter::access_token(shared, state, call),
        Endpoint::Profile if is_twitter => twitter::verify_credentials(shared, state, call),
        Endpoint::Authorize => authorize::respond(shared, state, call),
        Endpoint::Token => token::respond(shared, state, call),
        Endpoint::Profile => profile::profile(state, call),
        Endpoint::Emails => profile::emails(state, call),
        Endpoint::Jwks => Ok(Reply::json(200, &state.keys.published())),
        Endpoint::Discovery => Ok(openid::discovery(shared, state)),
        Endpoint::RequestToken => Err(Reply::text(404, "OAuth 2.0 has no request tokens")),
    }
}

fn not_found() -> HttpResponse {
    whole(Reply::text(404, "nothing is here"))
}

fn whole(reply: Reply) -> HttpResponse {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(Full::new(reply.body).boxed()).expect("a response")
}

/// Begins well, and never ends; the client has to.
fn endless(reply: &Reply) -> HttpResponse {
    let first = Bytes::from_static(b"{\"padding\":\"");
    let more = Bytes::from(vec![b'x'; 64 << 10]);
    let frames = stream::iter(std::iter::once(first).chain(std::iter::repeat(more)));
    let frames = futures_util::StreamExt::map(frames, |bytes| Ok(Frame::data(bytes)));
    let mut response = Response::builder().status(reply.status);
    response = response.header("content-type", "application/json");
    response.body(StreamBody::new(frames).boxed()).expect("a response")
}
