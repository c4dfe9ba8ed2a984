//! `POST /signin/email-password`.

use serde_json::json;
use time::Duration;

use crate::support::app::{PASSWORD, TestApp};

#[tokio::test]
async fn a_right_password_opens_a_session_of_its_own() {
    let app = TestApp::start(&[]).await;
    let first = app.sign_up("ann@example.com").await.session();
    let response = app.sign_in("ann@example.com", PASSWORD).await;
    assert_eq!(response.json().as_object().unwrap().len(), 1, "only `session`: {response:?}");
    let second = response.session();
    assert_eq!(first.user_id(), second.user_id());
    assert_ne!(first.id(), second.id());
    assert_ne!(first.refresh_token(), second.refresh_token());
    app.refresh(first.refresh_token()).await.session();
    app.refresh(second.refresh_token()).await.session();
}

#[tokio::test]
async fn the_address_may_be_typed_in_any_case() {
    let app = TestApp::start(&[]).await;
    app.sign_up("Ann@Example.com").await.session();
    let session = app.sign_in("aNN@eXAMPLE.COM", PASSWORD).await.session();
    assert_eq!(session.0["user"]["email"], "Ann@Example.com");
}

#[tokio::test]
async fn wrong_unknown_and_passwordless_get_the_same_bytes() {
    let app = TestApp::start(&[]).await;
    for email in ["ann@example.com", "null@example.com", "empty@example.com", "odd@example.com"] {
        app.sign_up(email).await.session();
    }
    app.database
        .execute(
            "update auth.users set password_hash = null where email = 'null@example.com';
             update auth.users set password_hash = '' where email = 'empty@example.com';
             update auth.users set password_hash = 'plain' where email = 'odd@example.com';",
        )
        .await;
    let wrong = app.sign_in("ann@example.com", "another-Passw0rd").await;
    wrong.assert_refused(401, "invalid-email-password");
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("null@example.com", PASSWORD),
        ("empty@example.com", PASSWORD),
        ("odd@example.com", "plain"),
    ] {
        let response = app.sign_in(email, password).await;
        assert_eq!((response.status, &response.text), (wrong.status, &wrong.text), "{email}");
    }
}

#[tokio::test]
async fn only_who_knows_the_password_learns_the_state_of_an_account() {
    let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]).await;
    app.sign_up("ann@example.com").await.session();
    app.database.execute("update auth.users set disabled = true").await;
    app.sign_in("ann@example.com", "wrong-Passw0rd")
        .await
        .assert_refused(401, "invalid-email-password");
    app.sign_in("ann@example.com", PASSWORD).await.assert_refused(401, "disabled-user");
    app.database.execute("update auth.users set disabled = false").await;
    app.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn an_unverified_user_is_let_in_once_verified() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let strict = TestApp::start_on(app.database.clone(), &required).await;
    strict.sign_in("ann@example.com", PASSWORD).await.assert_refused(401, "unverified-user");
    app.database.execute("update auth.users set email_verified = true").await;
    strict.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn a_second_factor_is_asked_for_by_a_ticket_and_no_session_is_made() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    app.database
        .execute("update auth.users set active_mfa_type = 'totp', totp_secret = 'abc'")
        .await;
    app.sign_in("ann@example.com", "wrong-Passw0rd")
        .await
        .assert_refused(401, "invalid-email-password");
    let body = app.sign_in("ann@example.com", PASSWORD).await.json();
    assert_eq!(body.as_object().unwrap().len(), 1, "no `session`: {body}");
    let ticket = body["mfa"]["ticket"].as_str().unwrap();
    let uuid = ticket.strip_prefix("mfaTotp:").unwrap();
    assert!(uuid.parse::<uuid::Uuid>().is_ok(), "{ticket}");
    assert_eq!(app.database.count("select count(*) from auth.refresh_tokens").await, 1);
    // It is no link: following it must not skip the factor.
    let redirect = crate::support::mailbox::verify(&app, ticket, "http://localhost:3000").await;
    assert_eq!(redirect.redirect().1["error"], "invalid-ticket");
}

#[tokio::test]
async fn a_sign_in_is_seen() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let seen = "select extract(epoch from last_seen)::bigint from auth.users";
    let before = app.database.count(seen).await;
    app.clock.advance(Duration::hours(1));
    app.sign_in("ann@example.com", PASSWORD).await.session();
    assert!(app.database.count(seen).await >= before + 3_600);
}

#[tokio::test]
async fn guesses_out_of_bounds_are_a_bad_request() {
    let app = TestApp::start(&[]).await;
    for password in ["ab", &"a".repeat(51)] {
        app.sign_in("ann@example.com", password).await.assert_refused(400, "invalid-request");
    }
    let body = json!({"email": "not an address", "password": PASSWORD});
    app.post("/signin/email-password", body).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn sign_in_stays_open_when_sign_up_is_closed() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let closed = [("AUTH_DISABLE_SIGNUP", "true"), ("AUTH_DISABLE_NEW_USERS", "true")];
    let closed = TestApp::start_on(app.database.clone(), &closed).await;
    closed.sign_in("ann@example.com", PASSWORD).await.session();
}
