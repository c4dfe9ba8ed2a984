//! `POST /signout`.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::jwt;

#[tokio::test]
async fn one_session_ends_and_the_others_live() {
    let app = TestApp::start(&[]).await;
    let one = app.sign_up("ann@example.com").await.session();
    let other = app.sign_in("ann@example.com", PASSWORD).await.session();
    app.post("/signout", json!({"refreshToken": one.refresh_token()})).await.assert_ok();
    app.refresh(one.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(other.refresh_token()).await.session();
    // The access token lives until it expires.
    assert_eq!(app.get_as("/user", one.access_token()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn ending_what_is_not_there_is_fine() {
    let app = TestApp::start(&[]).await;
    let session = app.anonymous().await;
    let unknown = uuid::Uuid::new_v4().to_string();
    for token in [unknown.as_str(), "no uuid at all", &session.refresh_token().to_uppercase()] {
        app.post("/signout", json!({"refreshToken": token})).await.assert_ok();
    }
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn a_token_that_was_just_traded_ends_its_session_too() {
    let app = TestApp::start(&[]).await;
    let first = app.anonymous().await;
    let second = app.refresh(first.refresh_token()).await.session();
    app.post("/signout", json!({"refreshToken": first.refresh_token()})).await.assert_ok();
    app.refresh(second.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn all_sessions_of_the_bearer_end_and_nobody_elses() {
    let app = TestApp::start(&[]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let ann_too = app.sign_in("ann@example.com", PASSWORD).await.session();
    let bob = app.sign_up("bob@example.com").await.session();
    let pat = format!(
        "insert into auth.refresh_tokens (user_id, expires_at, type, refresh_token_hash)
         values ('{}', now() + interval '1 year', 'pat', '\\x00')",
        ann.user_id()
    );
    app.database.execute(&pat).await;
    app.post_as("/signout", ann.access_token(), json!({"all": true})).await.assert_ok();
    for token in [ann.refresh_token(), ann_too.refresh_token()] {
        app.refresh(token).await.assert_refused(401, "invalid-refresh-token");
    }
    app.refresh(bob.refresh_token()).await.session();
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
}

#[tokio::test]
async fn all_needs_a_good_bearer() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let all = json!({"all": true, "refreshToken": session.refresh_token()});
    app.post("/signout", all.clone()).await.assert_refused(400, "invalid-request");
    for (what, token) in jwt::refused_tokens(session.user_id()) {
        let response = app.post_as("/signout", &token, all.clone()).await;
        assert_eq!((what, response.status.as_u16()), (what, 400));
    }
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_end() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    for body in [json!({}), json!({"all": false}), json!({"refreshToken": ""})] {
        app.post_as("/signout", session.access_token(), body)
            .await
            .assert_refused(400, "invalid-request");
    }
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn unknown_members_are_ignored_here_alone() {
    let app = TestApp::start(&[]).await;
    let session = app.anonymous().await;
    let body = json!({"refreshToken": session.refresh_token(), "more": [1]});
    app.post("/signout", body).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    let get = app.request(Method::GET, "/signout");
    crate::support::app::Client::send(get).await.assert_refused(405, "method-not-allowed");
}

#[tokio::test]
async fn a_token_from_long_ago_ends_nothing_but_the_session_of_a_bearer_that_comes_along() {
    let app = TestApp::start(&[]).await;
    let first = app.anonymous().await;
    let mut last = first.clone();
    // One more than the steps that are looked ahead.
    for _ in 0..66 {
        last = app.refresh(last.refresh_token()).await.session();
    }
    let old = json!({"refreshToken": first.refresh_token()});
    app.post("/signout", old.clone()).await.assert_ok();
    last = app.refresh(last.refresh_token()).await.session();
    for (_, bearer) in jwt::refused_tokens(first.user_id()) {
        app.post_as("/signout", &bearer, old.clone()).await.assert_ok();
    }
    last = app.refresh(last.refresh_token()).await.session();
    app.post_as("/signout", last.access_token(), old).await.assert_ok();
    app.refresh(last.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn a_token_that_leads_to_a_session_ends_that_one_and_not_the_bearers() {
    let app = TestApp::start(&[]).await;
    let one = app.sign_up("ann@example.com").await.session();
    let other = app.sign_in("ann@example.com", PASSWORD).await.session();
    let newer = app.refresh(other.refresh_token()).await.session();
    let body = json!({"refreshToken": other.refresh_token()});
    app.post_as("/signout", one.access_token(), body).await.assert_ok();
    app.refresh(newer.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(one.refresh_token()).await.session();
}
