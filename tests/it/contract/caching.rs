//! What caches may keep: the published keys, and nothing else.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{Client, TestApp, TestResponse};

const KEYS: &str = "/.well-known/jwks.json";

#[track_caller]
fn assert_not_kept(what: &str, response: &TestResponse) {
    let values: Vec<_> = response.headers.get_all("cache-control").iter().collect();
    assert_eq!(values, ["no-store"], "{what}: {response:?}");
}

/// docs/reference-behaviour.md#nothing-is-cached
#[tokio::test]
async fn no_response_of_the_contract_but_the_keys_may_be_kept() {
    let app = TestApp::start(&[("AUTH_WEBAUTHN_ENABLED", "true")]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let contract: Value =
        serde_json::from_str(include_str!("../../../docs/openapi.json")).expect("JSON");
    let mut operations = 0;
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        let here = path
            .replace("{id}", "00000000-0000-4000-8000-000000000000")
            .replace("{provider}", "github");
        for (method, _) in methods.as_object().expect("methods") {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            // Ending sessions would change what comes after it.
            let body = if path == "/signout" { json!({"refreshToken": "x"}) } else { json!({}) };
            for bearer in [None, Some(session.access_token())] {
                let mut request = app.request(method.clone(), &here);
                if let Some(token) = bearer {
                    request = request.bearer_auth(token);
                }
                if method != Method::GET && method != Method::HEAD {
                    request = request.json(&body);
                }
                let response = Client::send(request).await;
                operations += 1;
                if path == KEYS {
                    assert_eq!(response.header("cache-control"), Some("public, max-age=300"));
                } else {
                    assert_not_kept(&format!("{method} {path}"), &response);
                }
            }
        }
    }
    assert!(operations > 80, "only {operations} were asked");
}

#[tokio::test]
async fn neither_tokens_nor_profiles_nor_refusals_of_layers_may_be_kept() {
    let limits = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_GLOBAL_BURST", "8")];
    let app = TestApp::start(&limits).await;
    let signed_up = app.sign_up("ann@example.com").await;
    let session = signed_up.session();
    assert_not_kept("sign-up", &signed_up);
    assert_not_kept("refresh", &app.refresh(session.refresh_token()).await);
    assert_not_kept("profile", &app.get_as("/user", session.access_token()).await);
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    assert_not_kept("PAT", &app.post_as("/pat", session.access_token(), body).await);
    assert_not_kept("unknown path", &app.get_as("/nothing", session.access_token()).await);
    let mut last = app.get_as("/user", session.access_token()).await;
    while last.status == 200 {
        last = app.get_as("/user", session.access_token()).await;
    }
    assert_eq!(last.status, 429);
    assert_not_kept("over a limit", &last);
}
