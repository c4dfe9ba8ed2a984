//! What pages of other origins may do and read, on every route.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::routes;

const PAGE: &str = "https://app.example.com";

/// Headers that browsers show every script, and those that mean nothing to one.
const NOT_FOR_SCRIPTS: [&str; 8] = [
    "content-type",
    "content-length",
    "cache-control",
    "date",
    "vary",
    "allow",
    "location",
    "referrer-policy",
];

#[tokio::test]
async fn a_preflight_allows_the_methods_that_the_path_has() {
    let app = TestApp::start(&[("AUTH_VERIFY_LINK", "confirm")]).await;
    let table = routes::of(&app);
    for route in table.iter().filter(|route| !route.rules.is_local) {
        let path = routes::example(&route.path);
        for path in [path.as_str(), &format!("{path}/")] {
            let preflight = app
                .request(Method::OPTIONS, path)
                .header("origin", PAGE)
                .header("access-control-request-method", route.method.as_str());
            let response = Client::send(preflight).await;
            assert_eq!(response.status, StatusCode::NO_CONTENT, "{path}");
            let allowed = response.header("access-control-allow-methods").unwrap_or_default();
            let mut allowed: Vec<_> = allowed.split(", ").collect();
            let mut own: Vec<_> = table
                .iter()
                .filter(|other| other.path == route.path)
                .map(|other| other.method.as_str())
                .collect();
            allowed.sort_unstable();
            own.sort_unstable();
            assert_eq!(allowed, own, "{path}");
        }
    }
    let nowhere = app.request(Method::OPTIONS, "/nowhere").header("origin", PAGE);
    let nowhere = Client::send(nowhere).await;
    assert_eq!(nowhere.header("access-control-allow-methods"), Some("POST, GET"));
}

#[tokio::test]
async fn pages_of_other_origins_can_read_what_clients_go_by() {
    let app = TestApp::start(&[
        ("AUTH_RATE_LIMIT_ENABLE", "true"),
        ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "1"),
        ("AUTH_RATE_LIMIT_BRUTE_FORCE_INTERVAL", "24h"),
    ])
    .await;
    let ask = async |method: Method, path: &str| {
        let request = app.request(method, path).header("origin", PAGE);
        Client::send(request.json(&json!({}))).await
    };
    let mut seen = Vec::new();
    for (method, path, status) in [
        (Method::GET, "/version", 200),
        (Method::GET, "/nowhere", 404),
        (Method::PUT, "/token", 405),
        (Method::POST, "/signin/pat", 400),
        (Method::POST, "/signin/pat", 429),
    ] {
        let response = ask(method, path).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        let exposed = exposed(&response);
        for name in response.headers.keys().map(reqwest::header::HeaderName::as_str) {
            let is_for_scripts = !name.starts_with("access-control-")
                && !name.starts_with("x-keywright-")
                && !NOT_FOR_SCRIPTS.contains(&name);
            assert!(!is_for_scripts || exposed.iter().any(|shown| shown == name), "{path}: {name}");
            seen.push(name.to_owned());
        }
    }
    for name in ["retry-after", "x-request-id", "ratelimit", "ratelimit-policy"] {
        assert!(seen.iter().any(|seen| seen == name), "{name} was in no response");
    }
}

fn exposed(response: &TestResponse) -> Vec<String> {
    let names = response.header("access-control-expose-headers").unwrap_or_default();
    names.split(", ").map(str::to_lowercase).collect()
}
