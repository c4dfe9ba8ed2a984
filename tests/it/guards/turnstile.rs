//! `AUTH_TURNSTILE_SECRET`: a check that a person stands behind a sign-up.

use reqwest::Method;
use serde_json::json;

use crate::support::app::{Client, PASSWORD, TestApp, TestResponse};
use crate::support::http_simulator::{HttpSimulator, Reply};

const HEADER: &str = "x-cf-turnstile-response";

async fn start(turnstile: &HttpSimulator) -> TestApp {
    TestApp::start(&[
        ("AUTH_TURNSTILE_SECRET", "s3cret"),
        ("AUTH_TURNSTILE_URL", &turnstile.url),
        ("AUTH_TURNSTILE_TIMEOUT", "500ms"),
    ])
    .await
}

async fn sign_up(app: &TestApp, token: &str) -> TestResponse {
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let request =
        app.request(Method::POST, "/signup/email-password").header(HEADER, token).json(&body);
    Client::send(request).await
}

#[tokio::test]
async fn a_good_token_lets_a_sign_up_through_and_travels_as_json() {
    let turnstile = HttpSimulator::start(Reply::json(200, &json!({"success": true}))).await;
    let app = start(&turnstile).await;
    // Nothing in it becomes a member of its own.
    let token = "x\",\"secret\":\"y";
    sign_up(&app, token).await.session();
    let asked = turnstile.only();
    assert_eq!(asked.json(), json!({"secret": "s3cret", "response": token}));
    assert_eq!(asked.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn without_a_good_token_there_is_no_sign_up() {
    let refusal = json!({"success": false, "messages": ["bad"]});
    let turnstile = HttpSimulator::start(Reply::json(200, &refusal)).await;
    let app = start(&turnstile).await;
    let missing = app.sign_up("ann@example.com").await;
    assert_eq!(missing.status, 403);
    assert!(turnstile.asked().is_empty());
    assert_eq!(sign_up(&app, "bad").await.status, 403);
    for reply in [Reply::empty(200), Reply::Status(200, "no JSON".to_owned()), Reply::Hang] {
        turnstile.say(reply);
        assert_eq!(sign_up(&app, "good").await.status, 500);
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

/// Sign-in operations that create users are not covered.
#[tokio::test]
async fn only_sign_up_paths_ask_for_it() {
    let turnstile = HttpSimulator::start(Reply::json(200, &json!({"success": true}))).await;
    let app = start(&turnstile).await;
    app.anonymous().await;
    assert!(turnstile.asked().is_empty());
    let response = Client::send(app.request(Method::POST, "/signup/nowhere")).await;
    assert_eq!(response.status, 404, "a path that nobody serves asks nothing");
    assert!(turnstile.asked().is_empty());
}
