//! `POST /signin/anonymous`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp};
use crate::support::jwt;

#[tokio::test]
async fn an_empty_request_makes_an_anonymous_user_with_a_session() {
    let app = TestApp::start(&[]).await;
    let response = Client::send(app.request(Method::POST, "/signin/anonymous")).await;
    let user = response.session().0["user"].clone();
    assert_eq!(user["isAnonymous"], true);
    assert_eq!(user["displayName"], "Anonymous User");
    assert_eq!(user["defaultRole"], "anonymous");
    assert_eq!(user["roles"], json!(["anonymous"]));
    assert_eq!(user["avatarUrl"], "");
    assert_eq!(user["locale"], "en");
    assert_eq!(user["metadata"], json!(null));
    assert!(user.get("email").is_none(), "{user}");
    let claims = jwt::payload(response.session().access_token());
    assert_eq!(claims["https://hasura.io/jwt/claims"]["x-hasura-user-is-anonymous"], "true");
}

#[tokio::test]
async fn name_locale_and_metadata_are_taken_from_the_request() {
    let app = TestApp::start(&[("AUTH_LOCALE_ALLOWED_LOCALES", "en,fr")]).await;
    let body = json!({"displayName": "a <b> & c_d", "locale": "fr", "metadata": {"n": [1, null]}});
    let user = app.post("/signin/anonymous", body).await.session().0["user"].clone();
    assert_eq!(user["displayName"], "a <b> & c_d");
    assert_eq!(user["locale"], "fr");
    assert_eq!(user["metadata"], json!({"n": [1, null]}));
    let other = app.post("/signin/anonymous", json!({"locale": "xx"})).await.session();
    assert_eq!(other.0["user"]["locale"], "en", "a locale that is not allowed becomes the default");
}

#[tokio::test]
async fn every_call_makes_another_user() {
    let app = TestApp::start(&[]).await;
    let (one, other) = (app.anonymous().await, app.anonymous().await);
    assert_ne!(one.user_id(), other.user_id());
}

#[tokio::test]
async fn it_can_be_switched_off_and_closed_sign_up_comes_first() {
    let off = [("AUTH_ANONYMOUS_USERS_ENABLED", "false")];
    let app = TestApp::start(&off).await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(409, "disabled-endpoint");
    let closed = [off[0], ("AUTH_DISABLE_SIGNUP", "true")];
    let app = TestApp::start(&closed).await;
    app.post("/signin/anonymous", json!({})).await.assert_refused(403, "signup-disabled");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn an_anonymous_session_refreshes_and_ends_even_where_addresses_must_be_verified() {
    let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")]).await;
    let session = app.refresh(app.anonymous().await.refresh_token()).await.session();
    assert_eq!(session.0["user"]["isAnonymous"], true);
    app.post("/token/verify", json!({"token": session.access_token()})).await.assert_ok();
    app.post("/signout", json!({"refreshToken": session.refresh_token()})).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn what_is_for_registered_users_is_forbidden() {
    for required in ["true", "false"] {
        let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", required)]).await;
        let session = app.anonymous().await;
        let token = session.access_token();
        app.get_as("/user", token).await.assert_refused(403, "forbidden-anonymous");
        let verify = app.request(Method::POST, "/token/verify").bearer_auth(token);
        Client::send(verify).await.assert_refused(403, "forbidden-anonymous");
    }
}

#[tokio::test]
async fn new_anonymous_users_are_not_disabled_with_the_others() {
    let app = TestApp::start(&[("AUTH_DISABLE_NEW_USERS", "true")]).await;
    let response = app.post("/signin/anonymous", json!({})).await;
    assert_eq!(response.status, StatusCode::OK);
}
