//! `POST /change-env`: settings that a test suite switches while the server runs.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp};

const ENABLED: [(&str, &str); 1] = [("AUTH_ENABLE_CHANGE_ENV", "true")];

#[tokio::test]
async fn it_does_not_exist_unless_enabled() {
    let app = TestApp::start(&[]).await;
    let body = json!({"AUTH_DISABLE_SIGNUP": true});
    app.post("/change-env", body).await.assert_refused(404, "not-found");
    app.sign_up("ann@example.com").await.session();
}

#[tokio::test]
async fn members_take_effect_at_once_and_others_stay() {
    let app = TestApp::start(&ENABLED).await;
    let change = async |body: serde_json::Value| {
        let response = app.post("/change-env", body).await;
        assert_eq!(response.status, StatusCode::OK, "{response:?}");
        assert_eq!(response.json(), json!({"message": "environment changed successfully"}));
    };
    change(json!({"AUTH_DISABLE_SIGNUP": true})).await;
    app.sign_up("ann@example.com").await.assert_refused(403, "signup-disabled");
    change(json!({"AUTH_CONCEAL_ERRORS": true})).await;
    app.sign_up("ann@example.com").await.assert_refused(400, "invalid-request");
    change(json!({"AUTH_DISABLE_SIGNUP": false, "AUTH_CONCEAL_ERRORS": false})).await;
    app.sign_up("ann@example.com").await.session();
    change(json!({"AUTH_ANONYMOUS_USERS_ENABLED": false})).await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(409, "disabled-endpoint");
    change(json!({"AUTH_ACCESS_CONTROL_BLOCKED_EMAILS": "bob@example.com"})).await;
    app.sign_up("bob@example.com").await.assert_refused(401, "invalid-email-password");
    change(json!({"AUTH_PASSWORD_MIN_LENGTH": 49})).await;
    app.sign_up("cat@example.com").await.assert_refused(400, "password-too-short");
    change(json!({})).await;
    app.sign_up("cat@example.com").await.assert_refused(400, "password-too-short");
}

#[tokio::test]
async fn a_body_with_one_wrong_member_changes_nothing() {
    let app = TestApp::start(&ENABLED).await;
    for body in [
        r#"{"AUTH_DISABLE_SIGNUP": true, "AUTH_CONCEAL_ERRORS": "yes"}"#,
        r#"{"AUTH_DISABLE_SIGNUP": true, "AUTH_CLIENT_URL": "nonsense"}"#,
        r#"{"AUTH_DISABLE_SIGNUP": true"#,
        "[]",
        "",
    ] {
        let request = app
            .request(Method::POST, "/change-env")
            .header("content-type", "application/json")
            .body(body);
        let response = Client::send(request).await;
        assert_eq!(response.status, StatusCode::BAD_REQUEST, "{body}: {response:?}");
        assert!(response.json()["error"].is_string(), "{response:?}");
    }
    app.sign_up("ann@example.com").await.session();
}
