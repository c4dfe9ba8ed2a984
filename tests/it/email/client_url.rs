//! `AUTH_CLIENT_URL` in all its forms: a link that is mailed leads there.

use serde_json::json;

use crate::support::app::TestApp;
use crate::support::mailbox::Mailbox;

#[tokio::test]
async fn a_mailed_link_leads_to_the_client_url_whatever_its_form() {
    for (client_url, expected) in [
        ("http://localhost:5000/#/", "http://localhost:5000/?refreshToken="),
        ("https://app.example.com/start?z=1", "https://app.example.com/start?refreshToken="),
        ("com.example.app:/cb", "com.example.app:/cb?refreshToken="),
        ("  https://app.example.com/cb\n", "https://app.example.com/cb?refreshToken="),
    ] {
        let mailbox = Mailbox::start().await;
        let app = TestApp::start(&mailbox.settings(&[("AUTH_CLIENT_URL", client_url)])).await;
        app.sign_up("ann@example.com").await;
        let path = mailbox.last(&app.database, 1).await.path();
        let response = app.get(&path).await;
        let location = response.header("location").unwrap_or_default();
        assert!(location.starts_with(expected), "{client_url}: {response:?}");
        assert_eq!(location.contains("#/"), client_url.contains("#/"), "{location}");
    }
}

#[tokio::test]
async fn no_link_is_mailed_that_would_lead_nowhere() {
    let mailbox = Mailbox::start().await;
    let app = TestApp::start(&mailbox.settings(&[
        ("AUTH_CLIENT_URL", ""),
        (
            "AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS",
            "com.example.app:/cb, https://one.example/#/",
        ),
        ("AUTH_EMAIL_PASSWORDLESS_ENABLED", "true"),
        ("AUTH_OTP_EMAIL_ENABLED", "true"),
    ]))
    .await;
    let options = |target: &str| json!({"redirectTo": target});
    for path in [
        "/signin/passwordless/email",
        "/user/password/reset",
        "/user/email/send-verification-email",
    ] {
        let email = "nobody@example.com";
        app.post(path, json!({"email": email})).await.assert_refused(400, "redirectTo-not-allowed");
    }
    app.sign_up("ann@example.com").await.assert_refused(400, "redirectTo-not-allowed");
    assert_eq!(app.database.count("select count(*) from auth.users").await, 0);
    for (number, target) in ["com.example.app:/cb/x", "https://one.example/#/y"].iter().enumerate()
    {
        let body = json!({"email": format!("{number}@example.com"), "options": options(target)});
        app.post("/signin/passwordless/email", body).await.assert_ok();
        let path = mailbox.last(&app.database, number + 1).await.path();
        let response = app.get(&path).await;
        assert!(response.header("location").unwrap().contains("refreshToken="), "{response:?}");
    }
    // A code leads nowhere in any case.
    app.post("/signin/otp/email", json!({"email": "cid@example.com"})).await.assert_ok();
}
