//! `POST /token/verify`.

use reqwest::Method;
use serde_json::json;
use time::Duration;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::jwt;
use crate::support::smtp::eventually;

async fn bearer(app: &TestApp, token: &str) -> TestResponse {
    Client::send(app.request(Method::POST, "/token/verify").bearer_auth(token)).await
}

#[tokio::test]
async fn a_good_token_is_good_in_the_body_and_in_the_header() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let token = session.access_token();
    app.post("/token/verify", json!({"token": token})).await.assert_ok();
    app.post("/token/verify", json!({"token": format!("Bearer {token}")})).await.assert_ok();
    bearer(&app, token).await.assert_ok();
    app.post_as("/token/verify", token, json!({})).await.assert_ok();
}

#[tokio::test]
async fn bad_tokens_are_refused_in_both_places() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let user = session.user_id();
    app.post("/token/verify", json!({"token": jwt::sign(&jwt::claims(user))})).await.assert_ok();
    for (what, token) in jwt::refused_tokens(user) {
        let by_header = bearer(&app, &token).await;
        assert_eq!((what, by_header.status.as_u16()), (what, 400));
        by_header.assert_refused(400, "invalid-request");
        if !what.ends_with("subject") && !what.ends_with("user id") {
            let by_body = app.post("/token/verify", json!({"token": token})).await;
            assert_eq!((what, by_body.status.as_u16()), (what, 400));
            by_body.assert_refused(400, "invalid-request");
        }
        // The body counts where there is one, whatever the header says.
        let both = app.post_as("/token/verify", session.access_token(), json!({"token": "x"}));
        both.await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn nothing_to_verify_is_a_bad_request() {
    let app = TestApp::start(&[]).await;
    Client::send(app.request(Method::POST, "/token/verify"))
        .await
        .assert_refused(400, "invalid-request");
    app.post("/token/verify", json!({})).await.assert_refused(400, "invalid-request");
    app.post("/token/verify", json!({"token": ""})).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_token_expires_without_leeway() {
    let app = TestApp::start(&[("AUTH_ACCESS_TOKEN_EXPIRES_IN", "60")]).await;
    let session = app.sign_up("ann@example.com").await.session();
    assert_eq!(session.0["accessTokenExpiresIn"], 60);
    let token = session.access_token();
    app.clock.advance(Duration::seconds(61));
    app.post("/token/verify", json!({"token": token})).await.assert_refused(400, "invalid-request");
    bearer(&app, token).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn only_the_header_asks_who_the_user_is() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let token = session.access_token();
    app.database.execute("update auth.users set disabled = true").await;
    eventually("the change to arrive", async || {
        bearer(&app, token).await.error() == "disabled-user"
    })
    .await;
    app.post("/token/verify", json!({"token": token})).await.assert_ok();
    app.database.execute("delete from auth.users").await;
    eventually("the change to arrive", async || {
        bearer(&app, token).await.error() == "invalid-email-password"
    })
    .await;
    app.post("/token/verify", json!({"token": token})).await.assert_ok();
}
