//! `POST /token`: what a refresh returns, and to whom.

use std::sync::Arc;

use keywright::domain::clock::Clock;
use serde_json::json;
use time::Duration;

use crate::support::app::{PASSWORD, TestApp};
use crate::support::smtp::eventually;

#[tokio::test]
async fn a_refresh_returns_the_session_itself_under_the_same_id() {
    let app = TestApp::start(&[]).await;
    let first = app.sign_up("ann@example.com").await.session();
    let body = app.refresh(first.refresh_token()).await.json();
    let mut members: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected =
        ["accessToken", "accessTokenExpiresIn", "refreshToken", "refreshTokenId", "user"];
    assert_eq!(members, expected);
    assert_eq!(body["refreshTokenId"], first.id());
    assert_eq!(body["user"], first.0["user"]);
}

#[tokio::test]
async fn every_refresh_gives_a_session_its_full_lifetime_again() {
    let app = TestApp::start(&[("AUTH_REFRESH_TOKEN_EXPIRES_IN", "3600")]).await;
    let mut session = app.anonymous().await;
    for _ in 0..3 {
        app.clock.advance(Duration::minutes(50));
        session = app.refresh(session.refresh_token()).await.session();
    }
    app.clock.advance(Duration::minutes(61));
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

#[tokio::test]
async fn tokens_that_nobody_issued_are_refused() {
    let app = TestApp::start(&[]).await;
    let unknown = uuid::Uuid::new_v4().to_string();
    app.refresh(&unknown).await.assert_refused(401, "invalid-refresh-token");
    for malformed in ["", "x", &unknown.to_uppercase(), &format!("{unknown} "), &unknown[1..]] {
        app.refresh(malformed).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn personal_access_tokens_do_not_refresh() {
    let app = TestApp::start(&[]).await;
    let session = app.anonymous().await;
    app.database.execute("update auth.refresh_tokens set type = 'pat'").await;
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
}

#[tokio::test]
async fn a_disabled_user_is_refused_and_keeps_the_token() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    app.database.execute("update auth.users set disabled = true").await;
    eventually("the change to arrive", async || {
        app.get_as("/user", session.access_token()).await.status == 401
    })
    .await;
    app.refresh(session.refresh_token()).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false").await;
    eventually("the change to arrive", async || {
        app.get_as("/user", session.access_token()).await.status == 200
    })
    .await;
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn disabled_users_are_refused_also_where_their_address_would_be_ignored() {
    let app = TestApp::start(&[]).await;
    let mut session = app.sign_up("ann@example.com").await.session();
    let blocked = [("AUTH_ACCESS_CONTROL_BLOCKED_EMAIL_DOMAINS", "example.com")];
    let blocking = TestApp::start_on(app.database.clone(), &blocked).await;
    session = blocking.refresh(session.refresh_token()).await.session();
    blocking
        .sign_in("ann@example.com", PASSWORD)
        .await
        .assert_refused(401, "invalid-email-password");
    app.database.execute("update auth.users set disabled = true").await;
    eventually("the change to arrive", async || {
        blocking.get_as("/user", session.access_token()).await.error() == "disabled-user"
    })
    .await;
    blocking.refresh(session.refresh_token()).await.assert_refused(401, "disabled-user");
}

#[tokio::test]
async fn an_unverified_user_is_refused_where_verification_is_required() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let strict = TestApp::start_on(app.database.clone(), &required).await;
    strict.refresh(session.refresh_token()).await.assert_refused(401, "unverified-user");
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn what_an_administrator_changed_is_in_the_next_token() {
    let app = TestApp::start(&[]).await;
    let mut session = app.sign_up("ann@example.com").await.session();
    app.database
        .execute(
            "delete from auth.user_roles where role = 'editor';
             update auth.users set display_name = 'Ann', metadata = '{\"plan\": \"pro\"}';",
        )
        .await;
    eventually("the change to arrive", async || {
        session = app.refresh(session.refresh_token()).await.session();
        session.0["user"]["displayName"] == "Ann"
            && session.0["user"]["roles"] == json!(["me", "user"])
    })
    .await;
    assert_eq!(session.0["user"]["metadata"], json!({"plan": "pro"}));
    let claims = crate::support::jwt::payload(session.access_token());
    let roles = &claims["https://hasura.io/jwt/claims"]["x-hasura-allowed-roles"];
    assert_eq!(roles, &json!(["me", "user"]));
}

#[tokio::test]
async fn a_token_deleted_by_sql_is_gone() {
    let app = TestApp::start(&[]).await;
    let session = app.refresh(app.anonymous().await.refresh_token()).await.session();
    app.database.execute("delete from auth.refresh_tokens").await;
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}

/// A second node on the database of the first, whose clock is wrong.
async fn with_wrong_clock(app: &TestApp, by: Duration) -> TestApp {
    let clock = Clock::system();
    clock.go_wrong(by);
    TestApp::start_at(Arc::clone(&app.database), clock, &[]).await
}

/// A client that lost the response may find another node, and that node's machine may know another
/// time.
#[tokio::test]
async fn a_node_with_a_wrong_clock_takes_no_repeated_token_for_a_stolen_one() {
    let app = TestApp::start(&[]).await;
    for by in [Duration::hours(3), Duration::hours(-3)] {
        let wrong = with_wrong_clock(&app, by).await;
        for (first, then) in [(&app, &wrong), (&wrong, &app)] {
            let session = app.anonymous().await;
            let lost = first.refresh(session.refresh_token()).await.session();
            let found = then.refresh(session.refresh_token()).await.session();
            assert_eq!(found.refresh_token(), lost.refresh_token(), "{by}");
        }
    }
}

#[tokio::test]
async fn a_node_with_a_wrong_clock_knows_who_has_a_session() {
    let app = TestApp::start(&[]).await;
    for by in [Duration::days(365), Duration::days(-365)] {
        let wrong = with_wrong_clock(&app, by).await;
        let of_right = app.anonymous().await;
        wrong.refresh(of_right.refresh_token()).await.session();
        let of_wrong = wrong.anonymous().await;
        let next = app.refresh(of_wrong.refresh_token()).await.session();
        wrong.refresh(next.refresh_token()).await.session();
    }
}

/// What a thief used stays a thief's, whatever the clock of the node that finds out.
#[tokio::test]
async fn a_node_with_a_wrong_clock_notices_reuse() {
    let app = TestApp::start(&[]).await;
    let wrong = with_wrong_clock(&app, Duration::hours(-3)).await;
    let session = app.anonymous().await;
    let next = app.refresh(session.refresh_token()).await.session();
    let age = "update auth.refresh_tokens set keywright_rotated_at = now() - interval '1 hour'";
    app.database.execute(age).await;
    wrong.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(next.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
}
