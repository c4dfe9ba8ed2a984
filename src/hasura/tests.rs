//! The metadata client against a stand-in for Hasura.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;

type Calls = Arc<Mutex<Vec<Value>>>;
type Responder = fn(usize, &Value) -> (u16, &'static str);

/// Responds to each call with what a function says; remembers the payloads.
struct Stub {
    address: SocketAddr,
    calls: Calls,
    _tasks: JoinSet<()>,
}

impl Stub {
    async fn start(response: Responder) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), response)
    }

    fn serve(listener: TcpListener, response: Responder) -> Self {
        let address = listener.local_addr().unwrap();
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                let service =
                    service_fn(move |request| respond(request, Arc::clone(&seen), response));
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, calls, _tasks: tasks }
    }

    fn config(&self) -> HasuraConfig {
        config_for(self.address)
    }

    fn kinds(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|call| call["type"].as_str().unwrap().to_owned()).collect()
    }
}

async fn respond(
    request: Request<Incoming>,
    seen: Calls,
    response: Responder,
) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/metadata");
    assert_eq!(request.headers()["x-hasura-admin-secret"], "adm");
    assert_eq!(request.headers()["content-type"], "application/json; charset=UTF-8");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let payload: Value = serde_json::from_slice(&body).unwrap();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(payload.clone());
        seen.len()
    };
    let (status, text) = response(number, &payload);
    let body = Full::new(Bytes::from_static(text.as_bytes()));
    Ok(Response::builder().status(status).body(body).unwrap())
}

fn config_for(address: SocketAddr) -> HasuraConfig {
    HasuraConfig {
        graphql_url: Some(format!("http://{address}/v1/graphql").parse().unwrap()),
        admin_secret: SecretString::from("adm"),
    }
}

const QUICK: Retry = Retry {
    first: Duration::from_millis(5),
    longest: Duration::from_millis(20),
    total: Duration::from_secs(5),
};

#[tokio::test]
async fn a_new_hasura_gets_tables_then_relationships() {
    let stub = Stub::start(|_, _| (200, r#"{"message":"success"}"#)).await;
    let report = apply_metadata(&stub.config(), QUICK).await.unwrap().unwrap();
    assert_eq!(report, MetadataReport { tables: 9, relationships: 15 });
    let kinds = stub.kinds();
    assert_eq!(kinds.len(), 25);
    assert_eq!(kinds.iter().filter(|kind| *kind == "pg_track_table").count(), 9);
    assert_eq!(kinds[2], "pg_set_table_is_enum");
    assert!(kinds[10..].iter().all(|kind| kind.ends_with("_relationship")));
}

#[tokio::test]
async fn what_is_there_already_is_left_alone() {
    let stub = Stub::start(|_, payload| {
        if payload["type"] == "pg_track_table" {
            (400, r#"{"code":"already-tracked","error":"x","path":"$"}"#)
        } else {
            (400, r#"{"code":"already-exists"}"#)
        }
    })
    .await;
    let report = apply_metadata(&stub.config(), QUICK).await.unwrap().unwrap();
    assert_eq!(report, MetadataReport::default());
    assert!(!stub.kinds().contains(&"pg_set_table_is_enum".to_owned()));
}

#[tokio::test]
async fn it_waits_for_a_hasura_that_is_down_and_then_starting() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config_for(reserved.local_addr().unwrap());
    let address = config_address(&config);
    drop(reserved);
    let (result, _stub) = tokio::join!(apply_metadata(&config, QUICK), async {
        // Yielding lets the first call meet the closed port.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let listener = TcpListener::bind(address).await.unwrap();
        Stub::serve(listener, |number, _| if number <= 2 { (503, "up soon") } else { (200, "{}") })
    });
    assert_eq!(result.unwrap().unwrap().tables, 9);
}

fn config_address(config: &HasuraConfig) -> SocketAddr {
    config.graphql_url.as_ref().unwrap().authority().parse().unwrap()
}

#[tokio::test]
async fn it_gives_up_in_time_and_names_the_setting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config_for(listener.local_addr().unwrap());
    drop(listener);
    let retry = Retry { total: Duration::from_millis(50), ..QUICK };
    let error = apply_metadata(&config, retry).await.unwrap_err();
    assert!(error.to_string().starts_with("HASURA_GRAPHQL_GRAPHQL_URL: no response"), "{error}");
}

#[tokio::test]
async fn refusals_are_final_for_tables_and_harmless_for_relationships() {
    let denied = Stub::start(|_, _| (401, r#"{"code":"access-denied"}"#)).await;
    let error = apply_metadata(&denied.config(), QUICK).await.unwrap_err();
    assert!(error.to_string().starts_with("HASURA_GRAPHQL_ADMIN_SECRET"), "{error}");
    assert_eq!(denied.kinds().len(), 1);

    let refused = Stub::start(|_, _| (400, r#"{"code":"not-exists"}"#)).await;
    let error = apply_metadata(&refused.config(), QUICK).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "problem adding metadata for table auth.provider_requests: status_code: 400 \
         response: {\"code\":\"not-exists\"}"
    );

    let partly = Stub::start(|_, payload| {
        if payload["type"] == "pg_track_table" { (200, "{}") } else { (400, "no JSON") }
    })
    .await;
    let report = apply_metadata(&partly.config(), QUICK).await.unwrap().unwrap();
    assert_eq!(report, MetadataReport { tables: 9, relationships: 0 });
}

#[tokio::test]
async fn without_a_url_nothing_is_called() {
    let config = HasuraConfig { graphql_url: None, admin_secret: SecretString::from("") };
    assert_eq!(apply_metadata(&config, QUICK).await.unwrap(), None);
}
