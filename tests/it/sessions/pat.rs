//! Personal access tokens: createPAT and signInPAT.

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::support::app::{Client, Session, TestApp, TestResponse};
use crate::support::two_nodes::stored;

fn text(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap()
}

async fn create(client: &Client, session: &Session, expires_at: &str) -> TestResponse {
    client.post_as("/pat", session.access_token(), json!({"expiresAt": expires_at})).await
}

/// A user with a token of 30 days.
async fn with_token(app: &TestApp) -> (Session, String) {
    let session = app.sign_up("ann@example.com").await.session();
    let response = create(app, &session, &text(app.clock.now() + Duration::days(30))).await;
    let token = response.json()["personalAccessToken"].as_str().unwrap().to_owned();
    (session, token)
}

async fn sign_in(client: &Client, token: &str) -> TestResponse {
    client.post("/signin/pat", json!({"personalAccessToken": token})).await
}

#[tokio::test]
async fn a_token_is_shown_once_stored_as_hash_and_signs_in_again_and_again() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let body = json!({
        "expiresAt": text(app.clock.now() + Duration::days(30)),
        "metadata": {"name": "deploy", "nested": [1, {"a": null}]},
    });
    let response = app.post_as("/pat", session.access_token(), body).await;
    let body = response.json();
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{response:?}");
    let (id, token) = (body["id"].as_str().unwrap(), body["personalAccessToken"].as_str().unwrap());
    assert_ne!(id, token);
    let hash = stored(token);
    let row = app
        .database
        .text(&format!(
            "select jsonb_build_object('id', id, 'metadata', metadata)::text \
               from auth.refresh_tokens \
              where type = 'pat' and refresh_token_hash = '{hash}'"
        ))
        .await
        .unwrap();
    let row: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(row["id"], id);
    assert_eq!(row["metadata"], json!({"name": "deploy", "nested": [1, {"a": null}]}));

    for _ in 0..2 {
        let issued = sign_in(&app, token).await.session();
        assert_eq!(issued.user_id(), session.user_id());
        assert_ne!(issued.refresh_token(), token);
        app.refresh(issued.refresh_token()).await.session();
    }
}

#[tokio::test]
async fn creation_needs_a_registered_bearer_and_a_time() {
    let app = TestApp::start(&[]).await;
    let good = text(app.clock.now() + Duration::days(1));
    app.post("/pat", json!({"expiresAt": good})).await.assert_refused(400, "invalid-request");
    let anonymous = app.anonymous().await;
    create(&app, &anonymous, &good).await.assert_refused(403, "forbidden-anonymous");
    let session = app.sign_up("ann@example.com").await.session();
    for bad in ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z"] {
        create(&app, &session, bad).await.assert_refused(400, "invalid-request");
    }
    for body in [
        json!({}),
        json!({"expiresAt": null}),
        json!({"expiresAt": good, "metadata": "text"}),
        json!({"expiresAt": good, "metadata": []}),
        json!({"expiresAt": good, "more": 1}),
    ] {
        app.post_as("/pat", session.access_token(), body)
            .await
            .assert_refused(400, "invalid-request");
    }
    let pats = "select count(*) from auth.refresh_tokens where type = 'pat'";
    assert_eq!(app.database.count(pats).await, 0);
}

#[tokio::test]
async fn creation_needs_elevation_where_it_is_required() {
    let app = TestApp::start(&[("AUTH_REQUIRE_ELEVATED_CLAIM", "required")]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let expires_at = text(app.clock.now() + Duration::days(1));
    create(&app, &session, &expires_at).await.assert_refused(400, "elevated-claim-required");
}

#[tokio::test]
async fn a_session_is_refused_for_unknown_expired_and_other_tokens() {
    let app = TestApp::start(&[]).await;
    let (session, token) = with_token(&app).await;
    for malformed in ["", "no-uuid", &format!("{token}0")] {
        sign_in(&app, malformed).await.assert_refused(400, "invalid-request");
    }
    let unknown = uuid::Uuid::new_v4().to_string();
    sign_in(&app, &unknown).await.assert_refused(401, "invalid-pat");
    sign_in(&app, session.refresh_token()).await.assert_refused(401, "invalid-pat");
    let past = create(&app, &session, &text(app.clock.now() - Duration::days(1))).await.json();
    sign_in(&app, past["personalAccessToken"].as_str().unwrap())
        .await
        .assert_refused(401, "invalid-pat");
    sign_in(&app, &token).await.session();
    app.clock.advance(Duration::days(30));
    sign_in(&app, &token).await.assert_refused(401, "invalid-pat");
}

#[tokio::test]
async fn the_state_of_the_account_is_looked_at() {
    let app = TestApp::start(&[]).await;
    let (_, token) = with_token(&app).await;
    app.database.execute("update auth.users set disabled = true").await;
    app.app().actors.sessions.users().forget_all();
    sign_in(&app, &token).await.assert_refused(401, "disabled-user");
}

#[tokio::test]
async fn a_token_is_no_refresh_token() {
    let app = TestApp::start(&[]).await;
    let (_, token) = with_token(&app).await;
    app.refresh(&token).await.assert_refused(401, "invalid-refresh-token");
    sign_in(&app, &token).await.session();
}

/// Leaving everywhere ends the tokens too, and one can be given back by itself
/// (docs/reference-behaviour.md#sign-out-ends-pats).
#[tokio::test]
async fn signing_out_ends_tokens() {
    let app = TestApp::start(&[]).await;
    let (session, token) = with_token(&app).await;
    app.post("/signout", json!({"refreshToken": token})).await.assert_ok();
    sign_in(&app, &token).await.assert_refused(401, "invalid-pat");
    let response = create(&app, &session, &text(app.clock.now() + Duration::days(1))).await;
    let other = response.json()["personalAccessToken"].as_str().unwrap().to_owned();
    let body = json!({"refreshToken": session.refresh_token(), "all": true});
    app.post_as("/signout", session.access_token(), body).await.assert_ok();
    sign_in(&app, &other).await.assert_refused(401, "invalid-pat");
}

/// The token stands for both factors.
#[tokio::test]
async fn no_second_factor_is_asked_for() {
    let app = TestApp::start(&[("AUTH_MFA_ENABLED", "true")]).await;
    let (_, token) = with_token(&app).await;
    app.database
        .execute("update auth.users set active_mfa_type = 'totp', totp_secret = 'ABCDEFGH'")
        .await;
    app.app().actors.sessions.users().forget_all();
    sign_in(&app, &token).await.session();
}

/// A session that a token began makes no other way in
/// (docs/reference-behaviour.md#pat-sessions-write-nothing).
#[tokio::test]
async fn a_session_of_a_token_writes_no_credential() {
    let app = TestApp::start(&[]).await;
    let (_, token) = with_token(&app).await;
    let session = sign_in(&app, &token).await.session();
    let later = text(app.clock.now() + Duration::days(9_000));
    create(&app, &session, &later).await.assert_refused(400, "invalid-request");
    let refreshed = app.refresh(session.refresh_token()).await.session();
    create(&app, &refreshed, &later).await.assert_refused(400, "invalid-request");
    let body = json!({"newPassword": "another-Passw0rd"});
    let changed = app.post_as("/user/password", refreshed.access_token(), body).await;
    changed.assert_refused(400, "invalid-request");
    // It may end what there is.
    let body = json!({"all": true});
    app.post_as("/signout", refreshed.access_token(), body).await.assert_ok();
    sign_in(&app, &token).await.assert_refused(401, "invalid-pat");
}

/// Given back, deleted by an administrator, or expired.
#[tokio::test]
async fn a_session_of_a_token_ends_with_it() {
    let app = TestApp::start(&[]).await;
    let (owner, token) = with_token(&app).await;
    let session = sign_in(&app, &token).await.session();
    app.post("/signout", json!({"refreshToken": token})).await.assert_ok();
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");

    let made = create(&app, &owner, &text(app.clock.now() + Duration::days(1))).await.json();
    let token = made["personalAccessToken"].as_str().unwrap().to_owned();
    let session = sign_in(&app, &token).await.session();
    app.database.execute("delete from auth.refresh_tokens where type = 'pat'").await;
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");

    let made = create(&app, &owner, &text(app.clock.now() + Duration::hours(1))).await.json();
    let token = made["personalAccessToken"].as_str().unwrap().to_owned();
    let session = sign_in(&app, &token).await.session();
    app.clock.advance(Duration::minutes(50));
    let session = app.refresh(session.refresh_token()).await.session();
    app.clock.advance(Duration::minutes(20));
    app.refresh(session.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
    app.refresh(owner.refresh_token()).await.session();
}
