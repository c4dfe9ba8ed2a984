//! `options` of sign-up: roles, locale, name, metadata, and where to go next.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp, TestResponse};
use crate::support::mailbox::Mailbox;

async fn sign_up(app: &TestApp, email: &str, options: Value) -> TestResponse {
    let body = json!({"email": email, "password": PASSWORD, "options": options});
    app.post("/signup/email-password", body).await
}

#[tokio::test]
async fn options_are_granted() {
    let app = TestApp::start(&[("AUTH_LOCALE_ALLOWED_LOCALES", "en,fr")]).await;
    let options = json!({
        "allowedRoles": ["me", "editor", "me"], "defaultRole": "editor", "locale": "fr",
        "displayName": "Zoë O'Neil, Jr. <3", "metadata": {"a": {"b": [1, 2.5, null]}, "c": "&<>"},
    });
    let session = sign_up(&app, "ann@example.com", options.clone()).await.session();
    let profile = app.get_as("/user", session.access_token()).await.json();
    for user in [&session.0["user"], &profile] {
        assert_eq!(user["roles"], json!(["me", "editor"]), "without the duplicate");
        assert_eq!(user["defaultRole"], "editor");
        assert_eq!(user["locale"], "fr");
        assert_eq!(user["displayName"], options["displayName"]);
        assert_eq!(user["metadata"], options["metadata"]);
    }
}

#[tokio::test]
async fn roles_out_of_bounds_are_refused() {
    let app = TestApp::start(&[]).await;
    for (options, code) in [
        (json!({"allowedRoles": ["me", "admin"], "defaultRole": "me"}), "role-not-allowed"),
        (json!({"allowedRoles": ["me"]}), "default-role-must-be-in-allowed-roles"),
        (json!({"defaultRole": "admin"}), "default-role-must-be-in-allowed-roles"),
        (json!({"allowedRoles": []}), "default-role-must-be-in-allowed-roles"),
    ] {
        sign_up(&app, "ann@example.com", options).await.assert_refused(400, code);
    }
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
    sign_up(&app, "ann@example.com", json!({"defaultRole": "me"})).await.session();
}

#[tokio::test]
async fn configured_roles_are_added_to_the_database() {
    let roles = [("AUTH_USER_DEFAULT_ROLE", "boss"), ("AUTH_USER_DEFAULT_ALLOWED_ROLES", "clerk")];
    let app = TestApp::start(&roles).await;
    let session = app.sign_up("ann@example.com").await.session();
    assert_eq!(session.0["user"]["roles"], json!(["clerk", "boss"]));
    assert_eq!(session.0["user"]["defaultRole"], "boss");
}

#[tokio::test]
async fn a_locale_that_is_not_allowed_becomes_the_default() {
    let locales = [("AUTH_LOCALE_DEFAULT", "de"), ("AUTH_LOCALE_ALLOWED_LOCALES", "fr")];
    let app = TestApp::start(&locales).await;
    for (n, (wanted, given)) in
        [(json!({}), "de"), (json!({"locale": "xx"}), "de"), (json!({"locale": "fr"}), "fr")]
            .into_iter()
            .enumerate()
    {
        let session = sign_up(&app, &format!("user{n}@example.com"), wanted).await.session();
        assert_eq!(session.0["user"]["locale"], given);
    }
    sign_up(&app, "x@example.com", json!({"locale": "eng"}))
        .await
        .assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn display_names_have_a_length_and_an_alphabet() {
    let app = TestApp::start(&[]).await;
    for bad in ["", "a&b", "a/b", "a_b", "a\nb", "a:b", &"é".repeat(33)] {
        sign_up(&app, "ann@example.com", json!({"displayName": bad}))
            .await
            .assert_refused(400, "invalid-request");
    }
    let session =
        sign_up(&app, "ann@example.com", json!({"displayName": "é".repeat(32)})).await.session();
    assert_eq!(session.0["user"]["displayName"], "é".repeat(32));
}

#[tokio::test]
async fn metadata_is_an_object_and_keeps_every_digit() {
    let app = TestApp::start(&[]).await;
    for bad in [json!([]), json!("x"), json!(1), json!(true), json!(null)] {
        sign_up(&app, "ann@example.com", json!({"metadata": bad}))
            .await
            .assert_refused(400, "invalid-request");
    }
    let nul = json!({"metadata": {"a": "\u{0}"}});
    sign_up(&app, "ann@example.com", nul).await.assert_refused(400, "invalid-request");
    let request = app
        .request(reqwest::Method::POST, "/signup/email-password")
        .header("content-type", "application/json")
        .body(format!(
            "{{\"email\":\"ann@example.com\",\"password\":\"{PASSWORD}\",
               \"options\":{{\"metadata\":{{\"n\":12345678901234567890123}}}}}}"
        ));
    let response = crate::support::app::Client::send(request).await;
    response.session();
    assert!(response.text.contains("12345678901234567890123"), "{response:?}");
}

#[tokio::test]
async fn the_next_address_must_be_allowed_and_is_in_the_mail() {
    let mailbox = Mailbox::start().await;
    let allowed = [("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://*.example.com/app/*")];
    let app = TestApp::start(&mailbox.settings(&allowed)).await;
    for bad in [
        "",
        "nonsense",
        "https://evil.test",
        "https://a.example.com.evil.test/app/x",
        "https://evil\\.example.com/app/x",
        "http://localhost:3000@evil.test",
        "//evil.test",
        "http://localhost:30001",
    ] {
        sign_up(&app, "ann@example.com", json!({"redirectTo": bad}))
            .await
            .assert_refused(400, "redirectTo-not-allowed");
    }
    let good = "https://a.example.com/app/welcome?x=1";
    sign_up(&app, "ann@example.com", json!({"redirectTo": good})).await;
    assert_eq!(mailbox.last(&app.database, 1).await.header("X-Redirect-To"), Some(good));
    sign_up(&app, "bob@example.com", json!({})).await;
    let mail = mailbox.last(&app.database, 2).await;
    assert_eq!(mail.header("X-Redirect-To"), Some("http://localhost:3000"), "the client's address");
}
