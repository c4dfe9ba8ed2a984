//! Bodies that are not what they seem: compressed, or with a byte order mark.

use http::header::CONTENT_ENCODING;
use reqwest::Method;
use serde_json::json;

use super::harness::{Options, Server, Site, post};
use crate::support::app::{Client, PASSWORD, TestApp};
use crate::support::routes;

#[tokio::test]
async fn a_body_in_a_coding_is_a_415_that_names_it() {
    let site = Site::new(&Options::default());
    for (value, name) in [("gzip", "gzip"), ("identity, BR", "BR"), ("deflate", "deflate")] {
        let refused = site.send(post("/about").header(CONTENT_ENCODING, value), "{}").await;
        assert_eq!(
            (refused.status, refused.error_code().as_str()),
            (415, "unsupported-content-encoding")
        );
        assert!(refused.json()["message"].as_str().unwrap().contains(name), "{refused:?}");
        assert_eq!(refused.header("accept-encoding"), Some("identity"));
    }
    for request in [
        post("/about").header(CONTENT_ENCODING, "identity"),
        post("/about").header(CONTENT_ENCODING, ""),
    ] {
        assert_eq!(site.send(request, "{}").await.json()["bodyBytes"], 2);
    }
    // Nothing is nothing in every coding.
    let empty = site.send(post("/about").header(CONTENT_ENCODING, "gzip"), "").await;
    assert_eq!(empty.status, 200);
}

#[tokio::test]
async fn after_a_refused_coding_the_connection_is_closed_over_http1() {
    let server = Server::start(Options::default()).await;
    let mut wire = server.connect().await;
    wire.send(
        "POST /about HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
         content-encoding: gzip\r\ncontent-length: 100\r\n\r\n",
    )
    .await;
    let response = wire.response().await.to_lowercase();
    assert!(response.starts_with("http/1.1 415"), "{response}");
    assert!(response.contains("connection: close"), "{response}");
}

#[tokio::test]
async fn every_route_with_a_body_refuses_codings_and_those_with_json_skip_the_mark() {
    let app = TestApp::start(&[]).await;
    for route in routes::of(&app).iter().filter(|route| route.method != Method::HEAD) {
        let request = app.request(route.method.clone(), &routes::example(&route.path));
        let coded = request.header(CONTENT_ENCODING, "gzip").body(vec![0x1f, 0x8b, 8]);
        let response = Client::send(coded).await;
        response.assert_refused(415, "unsupported-content-encoding");

        // The mark is not what is wrong with it.
        let request = app.request(route.method.clone(), &routes::example(&route.path));
        let marked = request.header("content-type", "application/json").body("\u{feff}{\"x\": 1}");
        let response = Client::send(marked).await;
        assert!(!response.text.contains("JSON"), "{} {}: {response:?}", route.method, route.path);
    }
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let request = app
        .request(Method::POST, "/signup/email-password")
        .header("content-type", "application/json")
        .body(format!("\u{feff}{body}"));
    Client::send(request).await.session();
}
