//! Quirks of the reference that are kept, or mended, and that no file of an operation has a test
//! for (docs/reference-behaviour.md).

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::jwt;
use crate::support::mailbox::Mailbox;

const ANN: &str = "ann@example.com";

#[tokio::test]
async fn whatever_is_no_address_or_time_is_a_bad_request_with_a_body() {
    let app = TestApp::start(&[]).await;
    for bad in
        ["", "ann", "ann@", "@example.com", "ann@example", "a b@example.com", "ann@exa_mple.com"]
    {
        app.sign_up(bad).await.assert_refused(400, "invalid-request");
    }
    let session = app.sign_up(ANN).await.session();
    let body = json!({"expiresAt": "2090-01-01T00:00:00"});
    app.post_as("/pat", session.access_token(), body).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn users_with_an_odd_stored_address_are_served() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up(ANN).await.session();
    app.database.execute("update auth.users set email = 'odd@localhost'").await;
    let other = TestApp::start_on(app.database.clone(), &[]).await;
    let session = other.refresh(session.refresh_token()).await.session();
    assert_eq!(session.0["user"]["email"], "odd@localhost");
    let user = other.get_as("/user", session.access_token()).await.json();
    assert_eq!(user["email"], "odd@localhost");
}

#[tokio::test]
async fn users_without_address_can_do_what_others_can() {
    let app = TestApp::start(&[("AUTH_MFA_ENABLED", "true")]).await;
    let session = app.sign_up(ANN).await.session();
    app.database.execute("update auth.users set email = null, phone_number = '+15550001111'").await;
    let strict = TestApp::start_on(
        app.database.clone(),
        &[
            ("AUTH_MFA_ENABLED", "true"),
            ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true"),
            ("AUTH_ACCESS_CONTROL_ALLOWED_EMAIL_DOMAINS", "other.com"),
        ],
    )
    .await;
    let session = strict.refresh(session.refresh_token()).await.session();
    let token = session.access_token();
    assert_eq!(strict.get_as("/user", token).await.json()["phoneNumber"], "+15550001111");
    assert_eq!(strict.get_as("/mfa/totp/generate", token).await.status, 200);
    let body = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let pat = strict.post_as("/pat", token, body).await.json();
    let body = json!({"personalAccessToken": pat["personalAccessToken"]});
    strict.post("/signin/pat", body).await.session();
}

#[tokio::test]
async fn anonymous_users_are_anonymous_before_they_are_unverified() {
    let app = TestApp::start(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")]).await;
    let session = app.anonymous().await;
    app.get_as("/user", session.access_token()).await.assert_refused(403, "forbidden-anonymous");
    app.refresh(session.refresh_token()).await.session();
}

#[tokio::test]
async fn roles_may_be_named_twice() {
    let app = TestApp::start(&[]).await;
    let options = json!({"allowedRoles": ["me", "me", "user"]});
    let body = json!({"email": ANN, "password": PASSWORD, "options": options});
    let session = app.post("/signup/email-password", body).await.session();
    assert_eq!(session.0["user"]["roles"], json!(["me", "user"]));
}

#[tokio::test]
async fn a_password_that_bcrypt_would_cut_is_refused() {
    let app = TestApp::start(&[("AUTH_STORAGE_COMPATIBILITY", "reference")]).await;
    let body = json!({"email": ANN, "password": "ä".repeat(40)});
    app.post("/signup/email-password", body).await.assert_refused(400, "invalid-request");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn the_key_set_is_a_list() {
    let app = TestApp::start(&[]).await;
    assert_eq!(app.get("/.well-known/jwks.json").await.json(), json!({"keys": []}));
}

#[tokio::test]
async fn statuses_are_those_that_clients_know() {
    let app = TestApp::start(&[("AUTH_DISABLE_SIGNUP", "true")]).await;
    app.get("/user").await.assert_refused(400, "invalid-request");
    app.get_as("/user", "x").await.assert_refused(400, "invalid-request");
    let ticket = json!({"ticket": "mfaTotp:x", "otp": "1"});
    app.post("/signin/mfa/totp", ticket).await.assert_refused(409, "disabled-endpoint");
    app.sign_up(ANN).await.assert_refused(403, "signup-disabled");
}

#[tokio::test]
async fn a_refresh_returns_a_bare_session_whose_id_stays() {
    let app = TestApp::start(&[]).await;
    let signed_up = app.sign_up(ANN).await;
    assert!(signed_up.json()["session"].is_object());
    let first = signed_up.session();
    let refreshed = app.refresh(first.refresh_token()).await;
    assert!(refreshed.json()["accessToken"].is_string());
    assert_eq!(refreshed.session().id(), first.id());
    assert_eq!(jwt::payload(refreshed.session().access_token())["sid"], first.id());
}

#[tokio::test]
async fn a_registration_that_waits_returns_nothing_and_its_link_returns_a_token() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[])).await;
    assert_eq!(app.sign_up(ANN).await.json(), json!({}));
    let mail = mailbox.last(&app.database, 1).await;
    for header in ["X-Ticket", "X-Link", "X-Redirect-To", "X-Email-Template"] {
        assert!(mail.header(header).is_some(), "{header}");
    }
    let (_, query) = app.get(&mail.path()).await.redirect();
    assert_eq!(query["type"], "verifyEmail");
    assert!(query.contains_key("refreshToken"));
}

#[tokio::test]
async fn sessions_tell_the_second_factor_and_metadata_as_they_are() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up(ANN).await.session();
    assert_eq!(session.0["user"]["metadata"], Value::Null);
    assert_eq!(session.0["user"]["activeMfaType"], Value::Null);
    app.database.execute("update auth.users set active_mfa_type = 'totp', metadata = null").await;
    let other = TestApp::start_on(app.database.clone(), &[]).await;
    let session = other.refresh(session.refresh_token()).await.session();
    assert_eq!(session.0["user"]["activeMfaType"], "totp");
    assert_eq!(session.0["user"]["metadata"], Value::Null);
    let user = other.get_as("/user", session.access_token()).await.json();
    assert_eq!(user["metadata"], json!({}), "what was never written");
    assert_eq!(other.anonymous().await.0["user"]["isAnonymous"], true);
}

#[tokio::test]
async fn roles_keep_the_order_of_the_request() {
    let app = TestApp::start(&[]).await;
    let options = json!({"allowedRoles": ["user", "editor", "me"]});
    let body = json!({"email": ANN, "password": PASSWORD, "options": options});
    let mut session = app.post("/signup/email-password", body).await.session();
    for _ in 0..3 {
        assert_eq!(session.0["user"]["roles"], json!(["user", "editor", "me"]));
        session = app.refresh(session.refresh_token()).await.session();
    }
}

#[tokio::test]
async fn no_mail_is_sent_at_sign_up_where_none_is_needed() {
    let mailbox = Mailbox::start().await;
    let settings = mailbox.settings(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]);
    let app = TestApp::start(&settings).await;
    app.sign_up(ANN).await.session();
    mailbox.all(&app.database, 0).await;
}

#[tokio::test]
async fn anonymous_users_are_not_disabled_with_new_users() {
    let app = TestApp::start(&[("AUTH_DISABLE_NEW_USERS", "true")]).await;
    app.anonymous().await;
}

#[tokio::test]
async fn users_without_address_have_no_picture() {
    let app =
        TestApp::start(&[("AUTH_SMS_PASSWORDLESS_ENABLED", "true"), ("AUTH_SMS_PROVIDER", "dev")])
            .await;
    let phone = json!({"phoneNumber": "+15550001111"});
    app.post("/signin/passwordless/sms", phone).await.assert_ok();
    let avatar = app.database.text("select avatar_url from auth.users").await;
    assert_eq!(avatar.as_deref(), Some(""));
}
