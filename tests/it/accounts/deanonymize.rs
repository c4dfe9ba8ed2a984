//! deanonymizeUser.

use serde_json::{Value, json};

use crate::support::app::{Client, PASSWORD, Session, TestApp, TestResponse};
use crate::support::mailbox::Mailbox;

const ANN: &str = "ann@example.com";

async fn deanonymize(client: &Client, session: &Session, body: Value) -> TestResponse {
    client.post_as("/user/deanonymize", session.access_token(), body).await
}

fn by_password(email: &str) -> Value {
    json!({"signInMethod": "email-password", "email": email, "password": PASSWORD})
}

fn by_link(email: &str) -> Value {
    json!({"signInMethod": "passwordless", "email": email})
}

#[tokio::test]
async fn a_guest_becomes_a_user_keeps_id_and_session_and_has_new_roles_after_a_refresh() {
    let app = TestApp::start(&[]).await;
    let body = json!({"metadata": {"cart": [1]}});
    let guest = app.post("/signin/anonymous", body).await.session();
    let mut body = by_password(ANN);
    body["connection"] = json!("ignored");
    body["options"] = json!({"displayName": "Ann", "allowedRoles": ["me", "user"]});
    deanonymize(&app, &guest, body).await.assert_ok();
    let user = app.refresh(guest.refresh_token()).await.session().0["user"].clone();
    assert_eq!(user["id"], guest.0["user"]["id"]);
    assert_eq!(user["isAnonymous"], false);
    assert_eq!(user["email"], ANN);
    assert_eq!(user["displayName"], "Ann");
    assert_eq!(user["roles"], json!(["me", "user"]));
    assert_eq!(user["metadata"], json!({"cart": [1]}), "what is not given stays");
    app.sign_in(ANN, PASSWORD).await.session();
}

#[tokio::test]
async fn where_the_address_must_be_proved_the_session_ends_and_the_mail_begins_another() {
    let mailbox = Mailbox::start().await;
    for (body, kind) in
        [(by_password(ANN), "verifyEmail"), (by_link("bob@example.com"), "passwordlessEmail")]
    {
        let app = TestApp::start(&mailbox.settings(&[])).await;
        let before = mailbox.smtp.received().len();
        let guest = app.anonymous().await;
        deanonymize(&app, &guest, body).await.assert_ok();
        app.refresh(guest.refresh_token()).await.assert_refused(401, "invalid-refresh-token");
        let mail = mailbox.last(&app.database, before + 1).await;
        let (_, query) = app.get(&mail.path()).await.redirect();
        assert_eq!(query["type"], kind);
        let session = app.refresh(&query["refreshToken"]).await.session();
        assert_eq!(session.user_id(), guest.user_id());
        assert_eq!(session.0["user"]["emailVerified"], true);
    }
}

#[tokio::test]
async fn a_user_by_link_has_no_password_that_would_match() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(
        &mailbox.settings(&[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false")]),
    )
    .await;
    let guest = app.anonymous().await;
    let mut body = by_link(ANN);
    body["password"] = json!(PASSWORD);
    deanonymize(&app, &guest, body).await.assert_ok();
    app.sign_in(ANN, PASSWORD).await.assert_refused(401, "invalid-email-password");
}

/// The row decides, not the claim of an older token
/// (docs/reference-behaviour.md#the-row-says-who-is-anonymous).
#[tokio::test]
async fn an_old_anonymous_token_cannot_take_the_registered_account_over() {
    let app = TestApp::start(&[]).await;
    let guest = app.anonymous().await;
    deanonymize(&app, &guest, by_password(ANN)).await.assert_ok();
    deanonymize(&app, &guest, by_password("thief@example.com"))
        .await
        .assert_refused(400, "user-not-anonymous");
    assert_eq!(app.database.text("select email::text from auth.users").await.unwrap(), ANN);

    let gone = app.anonymous().await;
    app.database.execute("delete from auth.users where is_anonymous").await;
    app.app().actors.sessions.users().forget_all();
    deanonymize(&app, &gone, by_password("x@example.com"))
        .await
        .assert_refused(401, "invalid-email-password");
    let disabled = app.anonymous().await;
    app.database.execute("update auth.users set disabled = true where is_anonymous").await;
    app.app().actors.sessions.users().forget_all();
    deanonymize(&app, &disabled, by_password("x@example.com"))
        .await
        .assert_refused(401, "disabled-user");
}

#[tokio::test]
async fn of_many_at_once_one_registers() {
    let app = TestApp::start(&[]).await;
    let guest = app.anonymous().await;
    let responses =
        futures_util::future::join_all((0..8).map(|number| {
            deanonymize(&app, &guest, by_password(&format!("ann{number}@example.com")))
        }))
        .await;
    let registered = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(registered, 1, "{responses:?}");
    assert_eq!(app.database.count("select count(*) from auth.user_roles").await, 3);
}

#[tokio::test]
async fn a_registration_is_refused_step_by_step_and_changes_nothing() {
    let app = TestApp::start(&[
        ("AUTH_PASSWORD_MIN_LENGTH", "9"),
        ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "blocked@example.com"),
    ])
    .await;
    let guest = app.anonymous().await;
    let registered = app.sign_up("taken@example.com").await.session();
    app.post("/user/deanonymize", by_password(ANN)).await.assert_refused(400, "invalid-request");
    deanonymize(&app, &registered, by_password(ANN))
        .await
        .assert_refused(400, "user-not-anonymous");
    let changed = |name: &str, value: Value| {
        let mut body = by_password(ANN);
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (json!({"signInMethod": "email-password", "email": ANN}), 400, "invalid-request"),
        (changed("signInMethod", json!("sms")), 400, "invalid-request"),
        (changed("email", json!("ann")), 400, "invalid-request"),
        (changed("password", json!("12345678")), 400, "password-too-short"),
        (
            changed("options", json!({"redirectTo": "https://evil.io"})),
            400,
            "redirectTo-not-allowed",
        ),
        (changed("options", json!({"allowedRoles": ["admin"]})), 400, "role-not-allowed"),
        (
            changed("options", json!({"allowedRoles": ["me"]})),
            400,
            "default-role-must-be-in-allowed-roles",
        ),
        (by_password("blocked@example.com"), 401, "invalid-email-password"),
        (by_password("TAKEN@example.com"), 409, "email-already-in-use"),
    ] {
        deanonymize(&app, &guest, body).await.assert_refused(status, code);
    }
    let row = "select count(*) from auth.users where is_anonymous and email is null";
    assert_eq!(app.database.count(row).await, 1);
    app.refresh(guest.refresh_token()).await.session();
}
