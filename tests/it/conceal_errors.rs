//! `AUTH_CONCEAL_ERRORS`: answers that tell nothing about accounts.

use serde_json::json;

use crate::support::app::{Answer, PASSWORD, TestApp};
use crate::support::mailbox::{Mailbox, verify};
use crate::support::smtp::eventually;

const CONCEAL: (&str, &str) = ("AUTH_CONCEAL_ERRORS", "true");

/// A sensitive refusal as it looks when concealed, to the byte.
#[track_caller]
fn assert_concealed(answer: &Answer) {
    answer.assert_refused(400, "invalid-request");
    assert_eq!(
        answer.text,
        "{\"error\":\"invalid-request\",\"message\":\"The request payload is incorrect\",\"status\":400}\n"
    );
}

#[tokio::test]
async fn sign_up_tells_neither_who_exists_nor_who_may() {
    let app =
        TestApp::start(&[CONCEAL, ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "eve@example.com")]).await;
    app.sign_up("ann@example.com").await.session();
    assert_concealed(&app.sign_up("ann@example.com").await);
    assert_concealed(&app.sign_up("eve@example.com").await);
    let role = json!({
        "email": "bob@example.com", "password": PASSWORD,
        "options": {"allowedRoles": ["admin"], "defaultRole": "admin"},
    });
    assert_concealed(&app.post("/signup/email-password", role).await);
    for setting in ["AUTH_DISABLE_SIGNUP", "AUTH_DISABLE_NEW_USERS"] {
        let other = TestApp::start_on(app.database.clone(), &[CONCEAL, (setting, "true")]).await;
        assert_concealed(&other.sign_up("new@example.com").await);
    }
    let closed = [CONCEAL, ("AUTH_DISABLE_SIGNUP", "true")];
    let closed = TestApp::start_on(app.database.clone(), &closed).await;
    assert_concealed(&closed.post("/signin/anonymous", json!({})).await);
}

#[tokio::test]
async fn sign_in_tells_nothing() {
    let app = TestApp::start(&[CONCEAL]).await;
    app.sign_up("ann@example.com").await.session();
    assert_concealed(&app.sign_in("ann@example.com", "wrong-Passw0rd").await);
    assert_concealed(&app.sign_in("nobody@example.com", PASSWORD).await);
    let required = [CONCEAL, ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let strict = TestApp::start_on(app.database.clone(), &required).await;
    assert_concealed(&strict.sign_in("ann@example.com", PASSWORD).await);
    app.database.execute("update auth.users set disabled = true").await;
    assert_concealed(&app.sign_in("ann@example.com", PASSWORD).await);
}

#[tokio::test]
async fn tokens_and_profiles_tell_nothing() {
    let app = TestApp::start(&[CONCEAL]).await;
    let session = app.sign_up("ann@example.com").await.session();
    let anonymous = app.anonymous().await;
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_concealed(&app.refresh(&unknown).await);
    assert_concealed(&app.get_as("/user", anonymous.access_token()).await);
    let body = json!({});
    assert_concealed(&app.post_as("/token/verify", anonymous.access_token(), body).await);
    app.database.execute("update auth.users set disabled = true").await;
    eventually("the change to arrive", async || {
        app.get_as("/user", session.access_token()).await.status == 400
    })
    .await;
    assert_concealed(&app.get_as("/user", session.access_token()).await);
    assert_concealed(&app.post_as("/token/verify", session.access_token(), json!({})).await);
    assert_concealed(&app.refresh(session.refresh_token()).await);
}

#[tokio::test]
async fn asking_for_a_mail_is_answered_alike_for_everyone() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[CONCEAL])).await;
    app.sign_up("ann@example.com").await;
    app.sign_up("bob@example.com").await;
    app.sign_up("dis@example.com").await;
    app.database
        .execute(
            "update auth.users set email_verified = true where email = 'bob@example.com';
             update auth.users set disabled = true where email = 'dis@example.com';",
        )
        .await;
    for email in ["ann@example.com", "bob@example.com", "dis@example.com", "nobody@example.com"] {
        app.post("/user/email/send-verification-email", json!({"email": email})).await.assert_ok();
    }
    let sent = mailbox.all(&app.database, 4).await;
    assert_eq!(sent[3].to, ["ann@example.com"], "three at sign-up, one more where it is of use");
}

#[tokio::test]
async fn links_tell_nothing_in_their_redirect() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[CONCEAL])).await;
    app.sign_up("ann@example.com").await;
    let ticket = mailbox.last(&app.database, 1).await.ticket().to_owned();
    app.database.execute("update auth.users set disabled = true").await;
    for ticket in ["verifyEmail:00000000-0000-4000-8000-000000000000", &ticket] {
        assert_eq!(
            verify(&app, ticket, "http://localhost:3000").await.header("location"),
            Some(
                "http://localhost:3000?error=invalid-request&errorDescription=The+request+payload+is+incorrect"
            )
        );
    }
    // What says nothing about accounts is said.
    let (_, query) = verify(&app, &ticket, "https://evil.test").await.redirect();
    assert_eq!(query["error"], "redirectTo-not-allowed");
}

#[tokio::test]
async fn codes_that_are_not_sensitive_stay() {
    let app = TestApp::start(&[
        CONCEAL,
        ("AUTH_PASSWORD_MIN_LENGTH", "9"),
        ("AUTH_ANONYMOUS_USERS_ENABLED", "false"),
    ])
    .await;
    let sign_up = async |password: &str, options: serde_json::Value| {
        let body = json!({"email": "a@example.com", "password": password, "options": options});
        app.post("/signup/email-password", body).await
    };
    sign_up("short", json!({})).await.assert_refused(400, "password-too-short");
    sign_up(PASSWORD, json!({"redirectTo": "https://evil.test"}))
        .await
        .assert_refused(400, "redirectTo-not-allowed");
    sign_up(PASSWORD, json!({"allowedRoles": ["me"]}))
        .await
        .assert_refused(400, "default-role-must-be-in-allowed-roles");
    app.post("/signin/anonymous", json!({})).await.assert_refused(409, "disabled-endpoint");
    let schema = sign_up(PASSWORD, json!({"locale": "eng"})).await;
    assert!(schema.text.contains("locale"), "what is wrong with a request is said: {schema:?}");
}
