//! `AUTH_VERIFY_LINK=confirm`: a mailed link leads to a page, and a button uses it up.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::app::{Client, TestApp, TestResponse};
use crate::support::mailbox::Mailbox;

const CONFIRM: (&str, &str) = ("AUTH_VERIFY_LINK", "confirm");
const ANN: &str = "ann@example.com";

/// What a browser sends when the button of the page is pressed.
async fn press(app: &TestApp, path: &str) -> TestResponse {
    let form = app
        .request(Method::POST, path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "null")
        .body("");
    Client::send(form).await
}

fn assert_is_page(response: &TestResponse) {
    assert_eq!(response.status, StatusCode::OK, "{response:?}");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = response.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("script-src") && !policy.contains("form-action"), "{policy}");
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
    assert!(!response.text.contains("<script"), "{response:?}");
}

#[tokio::test]
async fn whatever_opens_the_link_uses_nothing_up_and_the_button_does_once() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[CONFIRM])).await;
    app.sign_up(ANN).await;
    let path = mailbox.last(&app.database, 1).await.path();
    for _ in 0..3 {
        let page = app.get(&path).await;
        assert_is_page(&page);
        // The form has no address of its own: it goes where the page is.
        assert!(page.text.contains("<form method=\"post\"><button type=\"submit\">Verify email"));
        assert!(!page.text.contains("verifyEmail:"), "the ticket stays out of the page: {page:?}");
    }
    let verified = "select count(*) from auth.users where email_verified";
    assert_eq!(app.database.count(verified).await, 0);

    let pressed = press(&app, &path).await;
    assert_eq!(pressed.status, StatusCode::SEE_OTHER, "{pressed:?}");
    let location = pressed.header("location").unwrap();
    assert!(location.starts_with("http://localhost:3000?refreshToken="), "{location}");
    assert_eq!(app.database.count(verified).await, 1);
    let again = press(&app, &path).await;
    assert!(again.header("location").unwrap().contains("error=invalid-ticket"), "{again:?}");
}

#[tokio::test]
async fn every_mailed_link_has_its_page_and_a_mangled_one_a_general_one() {
    let mailbox = Mailbox::start().await;
    let passwordless = ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true");
    let verified = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false");
    let app = TestApp::start(&mailbox.settings(&[CONFIRM, passwordless, verified])).await;
    let session = app.sign_up(ANN).await.session();
    app.post("/signin/passwordless/email", json!({"email": ANN})).await.assert_ok();
    app.post("/user/password/reset", json!({"email": ANN})).await.assert_ok();
    let change = json!({"newEmail": "new@example.com"});
    app.post_as("/user/email/change", session.access_token(), change).await.assert_ok();
    app.post("/user/email/send-verification-email", json!({"email": ANN})).await.assert_ok();
    let mut titles = std::collections::BTreeSet::new();
    for mail in mailbox.all(&app.database, 4).await {
        let page = app.get(&mail.path()).await;
        assert_is_page(&page);
        titles.insert(page.text.split("<h1>").nth(1).unwrap().to_owned());
    }
    assert_eq!(titles.len(), 4, "{titles:?}");
    let mangled = app.get("/verify?ticket=x&redirectTo=http%3A%2F%2Flocalhost%3A3000").await;
    assert_is_page(&mangled);
    assert!(mangled.text.contains("One more step"));
    // What can never work is told at once.
    app.get("/verify?ticket=x").await.assert_refused(400, "invalid-request");
    press(&app, "/verify?ticket=x").await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn the_page_speaks_the_language_of_the_browser_and_else_the_default_one() {
    let app = TestApp::start(&[CONFIRM, ("AUTH_LOCALE_DEFAULT", "es")]).await;
    let path = "/verify?ticket=verifyEmail:x&redirectTo=http%3A%2F%2Flocalhost%3A3000";
    for (accepted, language) in
        [("fr-CH, fr;q=0.9, en;q=0.8", "fr"), ("de, cs;q=0.5", "cs"), ("de", "es"), ("<b>", "es")]
    {
        let request = app.request(Method::GET, path).header("accept-language", accepted);
        let page = Client::send(request).await;
        assert!(page.text.contains(&format!("<html lang=\"{language}\"")), "{accepted}: {page:?}");
    }
}
